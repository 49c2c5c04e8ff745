"""What the model computes besides matrix products and attention: each part plainly, and fused in a Triton kernel.

`golf.kernels.plain` and `golf.kernels.triton` offer the same functions; the plain twin in x.py says what x_triton.py
computes.
"""
