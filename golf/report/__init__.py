"""Many runs beside each other: `python -m golf.report <sweep directories…>`."""
