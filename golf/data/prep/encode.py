"""Encodes documents to tokens, in order, by any number of processes, with bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from golf.data.tokenizer import SPACE, read_model
from golf.errors import UserError
from golf.utils.parent import die_with_parent

BATCH_CHARACTERS = 2**20  # about, of documents that are encoded together: one can be longer
AHEAD = 3  # batches for each process: one running, one waiting, one done

Documents = list[tuple[str, str]]  # name, for messages, and text
Given = TypeVar("Given")
Done = TypeVar("Done")


class Encoder:
    """Encodes with a SentencePiece model file."""

    def __init__(self, path: Path):
        self._model = read_model(path)
        self._has_dummy_prefix = self._model.normalize("a").startswith(SPACE)

    def encode(self, documents: Documents) -> np.ndarray:
        """The tokens (n,) uint16 of all documents, a BOS before each.

        Raises UserError, naming the document, if decoding does not return the text as the model normalises it.
        """
        tokens: list[int] = []
        for name, text in documents:
            ids = self._model.encode(text)
            if self._model.decode(ids) != self._normalised(text):
                raise UserError(f"{name}: decoding its tokens does not give back its normalised text")
            tokens += [self._model.bos_id(), *ids]
        return np.array(tokens, np.uint16)

    def _normalised(self, text: str) -> str:
        normalised: str = self._model.normalize(text)
        return (normalised[1:] if self._has_dummy_prefix else normalised).replace(SPACE, " ")


@contextmanager
def encoding(path: Path, workers: int) -> Iterator[Callable[[Iterable[tuple[str, str]]], Iterator[np.ndarray]]]:
    """Yields a function that maps documents to the tokens of their batches, in order. A single worker runs in this
    process. Raises UserError if a process is killed."""
    if workers == 1:
        encoder = Encoder(path)
        yield lambda documents: map(encoder.encode, batches(documents))
        return
    # Not forked: threads of this process may hold locks.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, (path, os.getpid())) as pool:
        try:
            yield lambda documents: in_order(pool, _encode, batches(documents), AHEAD * workers)
        except BrokenProcessPool as error:
            raise UserError(f"--workers={workers}: one was killed, perhaps for lack of memory; try fewer") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def batches(documents: Iterable[tuple[str, str]]) -> Iterator[Documents]:
    """The documents in lists of about BATCH_CHARACTERS."""
    batch: Documents = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document[1])
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def in_order(
    pool: ProcessPoolExecutor, work: Callable[[Given], Done], given: Iterable[Given], ahead: int
) -> Iterator[Done]:
    """The results of `work`, in order; at most `ahead` items are in flight."""
    waiting: deque[Future[Done]] = deque()
    for one in given:
        waiting.append(pool.submit(work, one))
        if len(waiting) == ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _start(path: Path, parent: int) -> None:
    global _encoder
    die_with_parent(parent)
    _encoder = Encoder(path)


def _encode(documents: Documents) -> np.ndarray:
    return _encoder.encode(documents)


_encoder: Encoder
