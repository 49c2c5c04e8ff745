"""The default data: text of the interpreter's own standard library, made into shards once and cached."""

import hashlib
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import sentencepiece

from golf.cache.entries import PATIENCE, cached, user_cache
from golf.data.dataset import Data, Dataset
from golf.data.prep import corpus, prepare
from golf.data.prepared import open_prepared
from golf.errors import UserError
from golf.events import Listener
from golf.utils.hashing import sha256


@dataclass(kw_only=True)
class Stdlib(Data):
    """`corpus_bytes` caps the text (train and validation); about `val_fraction` of it, by families, is validation.

    The training text is cut into `train_shards`; `character_coverage` is the share of its characters that are pieces
    of the tokenizer, and with `split_digits` no piece has two digits. `cache_dir` None is the user's cache directory.
    """

    vocab_size: int
    corpus_bytes: int
    val_fraction: float
    train_shards: int
    character_coverage: float
    split_digits: bool
    cache_dir: str | Path | None

    def open(self, events: Listener) -> Dataset:
        """Emits `corpus_built` if it was not cached yet. Raises UserError if it cannot be built or written."""

        def build(directory: Path) -> None:
            self._build(directory, events)

        def waiting() -> None:
            events.event("waiting_for_another_job", directory=str(root), seconds=PATIENCE)

        try:
            root = user_cache(self.cache_dir, "data")
            directory = cached(root, f"stdlib-{self._key()[:16]}", build, waiting=waiting)
        except OSError as error:
            raise UserError(f"data.cache_dir: {error.filename} cannot be used ({error.strerror})") from error
        return open_prepared(directory, self)

    def _settings(self) -> prepare.Settings:
        return prepare.Settings(
            vocab_size=self.vocab_size,
            character_coverage=self.character_coverage,
            split_digits=self.split_digits,
            train_shards=self.train_shards,
        )

    def _key(self) -> str:
        """Digest of everything that the shards depend on: the library's text, the settings, packages and code."""
        settings = self._settings(), self.corpus_bytes, self.val_fraction
        makers = platform.python_version(), sentencepiece.__version__
        code = [sha256(Path(file)) for file in (corpus.__file__, prepare.__file__, __file__)]
        return hashlib.sha256(repr((settings, makers, code, corpus.fingerprint())).encode()).hexdigest()

    def _build(self, directory: Path, events: Listener) -> None:
        started = time.perf_counter()
        train, val = corpus.split(corpus.documents(self.corpus_bytes), self.val_fraction)
        if not train or not val:
            raise UserError(
                f"data.corpus_bytes: {self.corpus_bytes} bytes of this Python's library are {len(train)} training and "
                f"{len(val)} validation documents, too few; raise it, or change data.val_fraction={self.val_fraction}"
            )
        texts = [document.text for document in train], [document.text for document in val]
        prepare.prepare(directory, *texts, self._settings(), events)
        events.event(
            "corpus_built",
            train_documents=len(train),
            val_documents=len(val),
            seconds=time.perf_counter() - started,
        )
