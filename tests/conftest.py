"""Shared by all tests: this folder is importable (golden numbers, readers), results repeat, nothing leaves home."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(2)
