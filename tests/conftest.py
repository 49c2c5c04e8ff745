"""Shared by all tests: this folder is importable (golden numbers, readers, runs), and one thread computes.

The tensors of the tests are too small to share, and threads that wait for each other are slow on a busy machine.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported, here and in the processes that tests start
