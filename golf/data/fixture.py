"""A tiny data set that ships with the package, for tests and to check an installation.

Topics of the Python reference manual (see fixture/NOTICE): what `data=stdlib` caches with CPython 3.11.7,
vocab_size=320, corpus_bytes=90000, val_fraction=0.08 and its other defaults.
"""

from dataclasses import dataclass
from pathlib import Path

from golf.data.dataset import Data, Dataset
from golf.data.prepared import open_prepared
from golf.events import Listener


@dataclass(kw_only=True)
class Fixture(Data):
    def open(self, events: Listener) -> Dataset:
        return open_prepared(Path(__file__).with_name("fixture"), self)
