"""Experiments for Parameter Golf: train, quantize and score a language model that fits in 16,000,000 bytes."""

__version__ = "0.1.0"
