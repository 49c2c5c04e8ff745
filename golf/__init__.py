"""Experiments for Parameter Golf: train, quantize and score a language model that fits in 16,000,000 bytes."""

import sys

__version__ = "0.1.0"

if sys.argv[:1] == ["-m"]:  # while Python looks for the module of `python -m golf…`
    from golf.safe_path import use_safe_path

    use_safe_path()
