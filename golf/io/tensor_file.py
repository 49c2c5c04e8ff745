"""Reads torch.save's files without executing their content, in memory proportional to the file's size."""

import os
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch

from golf.errors import UserError, require


def load_tensors(path: Path, device: str, what: str) -> Any:
    """The value in a file, on `device` (`meta`: shapes only). Raises UserError if it cannot be read as `what`.

    The parts of such a file must not be compressed, so none of them can be larger than the file.
    """
    try:
        require(path.is_file(), "not a regular file")
        with ZipFile(path) as parts:
            stored = [part.file_size for part in parts.infolist() if part.compress_type == ZIP_STORED]
            require(len(stored) == len(parts.infolist()) and sum(stored) <= os.stat(path).st_size, "compressed")
        return torch.load(path, device, weights_only=True)
    except Exception as error:  # by the damage: BadZipFile, UnpicklingError, RuntimeError, KeyError, EOFError, …
        why = str(error) if isinstance(error, UserError) else type(error).__name__
        raise UserError(f"{path}: cannot be read as {what} ({why})") from error
