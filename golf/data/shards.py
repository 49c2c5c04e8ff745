"""Real data: a directory of token shards and the tokenizer they were made with."""

from dataclasses import dataclass
from pathlib import Path

from golf.data.dataset import Data, Dataset
from golf.errors import UserError
from golf.events import Listener


@dataclass(kw_only=True)
class Shards(Data):
    """Paths are relative to the working directory; globs to `path`."""

    path: str | Path
    tokenizer: str | Path
    train_glob: str
    val_glob: str

    def open(self, events: Listener) -> Dataset:
        """Raises UserError if the directory, a kind of shard or the tokenizer is missing."""
        directory, tokenizer = Path(self.path), Path(self.tokenizer)
        if not directory.is_dir():
            raise UserError(f"data.path: there is no directory {directory}")
        if not tokenizer.is_file():
            raise UserError(f"data.tokenizer: there is no file {tokenizer}")
        return Dataset(
            train_files=_matches(directory, self.train_glob, "data.train_glob"),
            val_files=_matches(directory, self.val_glob, "data.val_glob"),
            tokenizer=tokenizer,
            val_tokens=self.val_tokens,
            seed=self.seed,
            order=self.order,
        )


def _matches(directory: Path, glob: str, key: str) -> list[Path]:
    try:
        files = sorted(directory.glob(glob))
    except (ValueError, IndexError, NotImplementedError) as error:  # "", "." and an absolute path, for three
        raise UserError(f"{key}={glob}: is not a pattern of files below data.path ({error})") from error
    if not files:
        raise UserError(f"{key}: no file in {directory} matches {glob}")
    return files
