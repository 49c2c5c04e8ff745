"""A directory that golf itself prepared: shards and their tokenizer under fixed names."""

from pathlib import Path

from golf.data.dataset import Data, Dataset

TOKENIZER = "tokenizer.model"


def open_prepared(directory: Path, data: Data) -> Dataset:
    """The data set in `directory`; what else is configured comes from `data`."""
    return Dataset(
        train_files=sorted(directory.glob("*_train_*.bin")),
        val_files=sorted(directory.glob("*_val_*.bin")),
        tokenizer=directory / TOKENIZER,
        val_tokens=data.val_tokens,
        seed=data.seed,
        order=data.order,
    )
