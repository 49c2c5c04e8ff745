"""The model's parts besides plain matrix products and attention, each in PyTorch and as a fused Triton kernel.

`golf.kernels.plain` and `golf.kernels.triton` have the same functions; the plain twin in x.py defines what x_triton.py
computes.
"""
