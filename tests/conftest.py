"""Shared by all tests: this folder is importable (golden numbers, readers, runs)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
