"""manifest.json: what a data directory holds and where it came from, as `golf.data download` and `build` write it.

A run checks its files against the manifest beside them. A directory without one, or with a manifest.json of another
form (as in a cache or the challenge's own download), is not checked.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from golf.data.shard import shard_length
from golf.data.tokenizer import read_byte_table
from golf.errors import UserError, excerpt, require
from golf.utils.atomic import write_json
from golf.utils.hashing import sha256
from golf.utils.reading import read_json, shaped

MANIFEST = "manifest.json"
FORMAT = "golf.data 1"
MEND = "fetch or build the data again, or delete the manifest if the files are meant to differ"


class Listed(TypedDict):
    file: str
    size: int
    sha256: str


class Content(TypedDict):
    source: dict[str, Any]
    tokenizer: Listed
    train: list[Listed]
    val: list[Listed]


@dataclass(frozen=True)
class Manifest:
    """The files of a directory. `tokenizer`: file name, size in bytes, sha256 and vocab_size. `train`, `val`: the same
    for each shard in order, with tokens instead of vocab_size. `source`: the origin of the data."""

    directory: Path
    source: dict[str, Any]
    tokenizer: dict[str, Any]
    train: list[dict[str, Any]]
    val: list[dict[str, Any]]

    @property
    def path(self) -> Path:
        return self.directory / MANIFEST

    @property
    def files(self) -> list[dict[str, Any]]:
        return [self.tokenizer, *self.train, *self.val]

    def write(self) -> None:
        content = {key: value for key, value in vars(self).items() if key != "directory"}
        write_json(self.path, {"format": FORMAT, **content})

    def check_sizes(self) -> None:
        """Raises UserError if a listed file is missing or has another size."""
        for listed in self.files:
            path, size = self.directory / excerpt(listed["file"]), listed["size"]
            require(os.path.isfile(path), f"{path}: is missing, but {self.path} lists it; {MEND}")
            found = path.stat().st_size
            require(found == size, f"{path}: has {found} bytes, but {self.path} says {size}; {MEND}")

    def check_shard(self, path: Path, digest: str) -> None:
        """Raises UserError if a shard is not listed or has another SHA-256."""
        listed = {shard["file"]: shard["sha256"] for shard in (*self.train, *self.val)}
        require(path.name in listed, f"{path}: is not in {self.path}; {MEND}")
        self._require_same(path, digest, listed[path.name])

    def check_tokenizer(self, path: Path, digest: str) -> None:
        """Raises UserError unless it is the tokenizer that the shards were made with, wherever its file is."""
        self._require_same(path, digest, self.tokenizer["sha256"])

    def _require_same(self, path: Path, digest: str, listed: str) -> None:
        require(digest == listed, f"{path}: has SHA-256 {digest}, but {self.path} says {excerpt(listed)}; {MEND}")


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest in a directory; None if there is none of this form. Raises UserError if it is damaged."""
    path = directory / MANIFEST
    if not path.exists():
        return None
    try:
        content = read_json(path)
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            return None
        shaped(content, str(path), Content)
    except UserError as error:
        why = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{path}: cannot be read as the manifest of a data directory ({why}); {MEND}") from error
    return Manifest(directory, **{key: content[key] for key in Content.__required_keys__})


def shard_entry(path: Path, digest: str | None = None) -> dict[str, Any]:
    """A shard's entry in a manifest. Raises UserError if the file is not a complete shard."""
    return {**_entry(path, digest), "tokens": shard_length(path)}


def tokenizer_entry(path: Path, digest: str | None = None) -> dict[str, Any]:
    """A tokenizer's entry in a manifest. Raises UserError if the file is not a SentencePiece model."""
    return {**_entry(path, digest), "vocab_size": read_byte_table(path).vocab_size}


def _entry(path: Path, digest: str | None) -> dict[str, Any]:
    return {"file": path.name, "size": path.stat().st_size, "sha256": digest or sha256(path)}
