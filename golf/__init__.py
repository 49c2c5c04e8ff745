"""Experiments for Parameter Golf: train, quantize and score a language model that fits in 16,000,000 bytes."""

from golf.utils.safe_path import is_sought, use_safe_path

__version__ = "0.1.0"

if is_sought():
    use_safe_path()
