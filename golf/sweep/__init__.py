"""Many jobs from one command line: `python -m golf -m seed=1337,42,2025`."""
