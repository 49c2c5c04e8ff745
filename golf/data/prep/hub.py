"""Lists, downloads and verifies files of a dataset repository on the Hugging Face Hub.

huggingface_hub's `hf_hub_download` restarts a file after it was killed, while its lower-level `http_get` continues at
any byte and is used here. All requests go to the Hub, or to the address in the environment's HF_ENDPOINT.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from golf.errors import UserError
from golf.utils.cli import extra
from golf.utils.hashing import sha256
from golf.utils.writing import regular

with extra("data"):
    from httpx2 import HTTPError
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.hf_api import RepoFile
    from huggingface_hub.utils import build_hf_headers, disable_progress_bars

TRIES = 3  # in a row without progress, besides http_get's own retries
PAUSE_SECONDS = 2.0  # after a fruitless try


class Stopped(Exception):
    """Another download failed and stopped this one."""


@dataclass(frozen=True)
class Remote:
    """A file of a repository; `size` in bytes. Files in git have `git_sha1` instead of `sha256`."""

    path: str
    size: int
    sha256: str | None
    git_sha1: str

    @property
    def name(self) -> str:
        return Path(self.path).name

    def digest_of(self, path: Path) -> str | None:
        """SHA-256 of a local file if its content is this file's, else None."""
        if not path.is_file() or path.stat().st_size != self.size:
            return None
        digest = sha256(path)
        same = self.git_sha1 == _git_sha1(path) if self.sha256 is None else self.sha256 == digest
        return digest if same else None

    def partial(self, path: Path) -> Path:
        """The partial file of a download to `path`; its name depends on the content."""
        return path.with_name(f"{path.name}.{(self.sha256 or self.git_sha1)[:12]}.part")


class Repository:
    """A dataset repository at one commit. Raises UserError if it cannot be read."""

    def __init__(self, name: str, revision: str):
        disable_progress_bars()
        self.name = name
        self._api = HfApi(library_name="golf")
        with _as_user_error(name):
            self.commit = str(self._api.dataset_info(name, revision=revision).sha)

    def folder(self, path: str) -> list[Remote]:
        """The files directly in a folder, by name. Raises UserError if the folder does not exist."""
        with _as_user_error(f"{self.name}: {path}"):
            found = self._api.list_repo_tree(self.name, path, revision=self.commit, repo_type="dataset")
            return sorted((_remote(file) for file in found if isinstance(file, RepoFile)), key=lambda file: file.path)

    def file(self, path: str) -> Remote:
        """Raises UserError if the file does not exist."""
        with _as_user_error(f"{self.name}: {path}"):
            found = self._api.get_paths_info(self.name, [path], revision=self.commit, repo_type="dataset")
        files = [_remote(file) for file in found if isinstance(file, RepoFile)]
        if not files:
            raise UserError(f"{self.name}: there is no file {path} at commit {self.commit}")
        return files[0]

    def fetch(self, remote: Remote, path: Path, stop: Event) -> str:
        """Download a file to `path` unless it is there, continuing a partial download; returns its SHA-256.

        Raises UserError if it cannot be fetched or arrives damaged twice, and Stopped soon after `stop` was set.
        """
        digest = remote.digest_of(path)
        for _ in range(2):
            if digest is None:
                self._fetch(remote, remote.partial(path), stop)
                remote.partial(path).replace(path)
                digest = remote.digest_of(path)
        if digest is None:
            path.unlink()
            raise UserError(
                f"{self.name}: {remote.path} came damaged twice: it is not of {remote.size} bytes with the digest "
                f"{remote.sha256 or remote.git_sha1} that the Hub states; try again later"
            )
        return digest

    def _fetch(self, remote: Remote, partial: Path, stop: Event) -> None:
        url = hf_hub_url(self.name, remote.path, repo_type="dataset", revision=self.commit)
        # Uncompressed, so that a download can continue at any byte.
        headers = build_hf_headers(library_name="golf", headers={"Accept-Encoding": "identity"})
        fruitless = 0
        with _as_user_error(f"{self.name}: {remote.path}"), _Stoppable(partial, stop) as file:
            while True:
                if file.tell() > remote.size:
                    file.truncate(0)
                before = file.tell()
                try:
                    return http_get(url, file, resume_size=before, headers=headers, expected_size=remote.size)
                except (HTTPError, OSError) as error:
                    fruitless = 0 if file.tell() > before else fruitless + 1
                    if _is_final(error) or fruitless == TRIES:
                        raise
                    stop.wait(PAUSE_SECONDS)


class _Stoppable(io.FileIO):
    """A file to append to until `stop` is set."""

    def __init__(self, path: Path, stop: Event):
        super().__init__(path, "ab", opener=regular)
        self._stop = stop

    def write(self, chunk: bytes, /) -> int:  # type: ignore[override]
        if self._stop.is_set():
            raise Stopped
        return super().write(chunk)


def _remote(file: RepoFile) -> Remote:
    return Remote(file.path, file.size, None if file.lfs is None else file.lfs.sha256, file.blob_id)


def _git_sha1(path: Path) -> str:
    """The file's git blob SHA-1; read at once, since files in git are small."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def _as_user_error(what: str) -> Iterator[None]:
    try:
        yield
    except (HTTPError, OSError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        hint = "" if _is_final(error) else "; the same command continues the download"
        raise UserError(f"{what}: cannot be fetched ({why}){hint}") from error


def _is_final(error: Exception) -> bool:
    """Whether a retry is pointless: the resource does not exist or is not public."""
    return isinstance(error, HfHubHTTPError) and error.response.status_code < 500
