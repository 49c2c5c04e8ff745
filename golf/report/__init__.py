"""Comparison of many runs: `python -m golf.report <sweep directories…>`."""
