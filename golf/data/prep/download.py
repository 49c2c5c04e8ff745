"""Downloads a published data set: tokenizer, validation shards, and the requested number of training shards.

Everything is fetched into a staging folder in the directory and verified there; once complete, the manifest and then
the files are moved into place, so that no run mistakes a part of the data for the whole.
"""

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from threading import Event
from typing import Any

from golf.cache.entries import PATIENCE, claimed
from golf.data.manifest import Manifest, read_manifest, shard_entry, tokenizer_entry
from golf.data.prep.hub import Remote, Repository
from golf.data.published import published
from golf.errors import UserError, require
from golf.events import Listener
from golf.utils.reading import read_json

STAGING = ".download"
CONNECTIONS = 4
SECONDS_BETWEEN_REPORTS = 0.5
MEGABYTE, GIGABYTE = 10**6, 10**9
SPLITS = ("train", "val")
STATED = {f"{what}_{split}" for what in ("files", "tokens") for split in SPLITS}


@dataclass(frozen=True)
class Source:
    """A data set's entry in download.yaml."""

    repository: str
    revision: str
    shards: str
    tokenizer: str
    manifest: str | None


@dataclass(frozen=True)
class Plan:
    """The files of the finished data set, and the tokens of a split if the repository's manifest states them."""

    tokenizer: Remote
    train: list[Remote]
    val: list[Remote]
    tokens: dict[str, int]

    @property
    def files(self) -> list[Remote]:
        return [self.tokenizer, *self.val, *self.train]


def download(name: str, directory: Path, shards: int | None, events: Listener) -> None:
    """Complete the data set `name` of download.yaml in `directory`, with its first `shards` training shards (None:
    all). Correct files are kept. Of several processes, one works and the others wait.

    Raises UserError if it is unknown, cannot be fetched or written, or `directory` has files that do not belong to it.
    """
    source = _source(name)
    require(shards is None or shards > 0, f"--shards={shards} must be at least 1")
    try:
        with ExitStack() as stack:
            try:
                stack.enter_context(claimed(directory.absolute().parent, directory.absolute().name, seconds=0))
            except BlockingIOError:
                events.event("waiting for another download", directory=str(directory), seconds=PATIENCE)
                stack.enter_context(claimed(directory.absolute().parent, directory.absolute().name))
            directory.mkdir(exist_ok=True)
            stack.callback(_remove_if_empty, directory)  # a failed download leaves no empty directory
            stack.callback(_remove_if_empty, directory / STAGING)
            _download(source, directory, shards, events)
    except OSError as error:
        raise UserError(f"{directory}: cannot be written ({error})") from error


def _download(source: Source, directory: Path, shards: int | None, events: Listener) -> None:
    staging = directory / STAGING
    staging.mkdir(exist_ok=True)
    repository = Repository(source.repository, source.revision)
    plan = _plan(source, repository, staging, shards)
    _require_nothing_else(plan, directory)
    _require_room(plan, directory)
    origin = {"repository": repository.name, "commit": repository.commit}
    events.event("downloading", **origin, train_shards=len(plan.train))
    digests = _fetch(plan.files, repository, directory, events)
    manifest = _manifest(plan, digests, directory, origin)
    _publish(manifest, staging)
    tokens = {f"{split}_tokens": _tokens(vars(manifest)[split]) for split in SPLITS}
    events.event("downloaded", directory=str(directory), **tokens)


def _remove_if_empty(directory: Path) -> None:
    with suppress(OSError):
        directory.rmdir()


def _source(name: str) -> Source:
    known = published()
    require(name in known, f"{name}: is none of the data sets in golf/data/download.yaml: {', '.join(known)}")
    return Source(**known[name])


def _plan(source: Source, repository: Repository, staging: Path, shards: int | None) -> Plan:
    files = repository.folder(source.shards)
    stated = _stated(source, repository, staging)
    of = {}
    for split in SPLITS:
        found = [file for file in files if fnmatch(file.name, f"*_{split}_*.bin")]
        number = stated.get(f"files_{split}", max(len(found), 1))
        if len(found) < number:
            raise UserError(f"{repository.name}: {source.shards} has {len(found)} of {number} {split} shards")
        of[split] = found[:number]
    number = len(of["train"])
    require(shards is None or shards <= number, f"--shards={shards}: {repository.name} has {number} training shards")
    tokens = {split: stated[f"tokens_{split}"] for split in SPLITS if f"tokens_{split}" in stated}
    if shards not in (None, number):
        tokens.pop("train", None)
    return Plan(repository.file(source.tokenizer), of["train"][:shards], of["val"], tokens)


def _stated(source: Source, repository: Repository, staging: Path) -> dict[str, int]:
    """The number of files and tokens of each split by the repository's manifest; empty if it does not state them."""
    if source.manifest is None:
        return {}
    path = staging / Path(source.manifest).name
    repository.fetch(repository.file(source.manifest), path, Event())
    try:
        datasets = read_json(path)["datasets"]
        stats: dict[str, Any] = next(
            (entry["stats"] for entry in datasets if entry["name"] == Path(source.shards).name), {}
        )
        return {key: int(stats[key]) for key in stats if key in STATED}
    except (ValueError, TypeError, KeyError, AttributeError, UserError) as error:
        raise UserError(
            f"{repository.name}: {source.manifest} cannot be understood ({error!r}); "
            "manifest: null in golf/data/download.yaml does without it"
        ) from error


def _require_nothing_else(plan: Plan, directory: Path) -> None:
    """Raise UserError for foreign shards, which would be trained on."""
    wanted = {file.name for file in plan.files}
    found = sorted(path for split in SPLITS for path in directory.glob(f"*_{split}_*.bin") if path.name not in wanted)
    if found:
        raise UserError(f"{found[0]}: is not among the files asked for; delete it, or choose another --output")


def _require_room(plan: Plan, directory: Path) -> None:
    need = sum(file.size - _arrived(file, directory) for file in plan.files)
    free = shutil.disk_usage(directory).free
    require(
        need <= free,
        f"{directory}: {need / GIGABYTE:.1f} GB more are needed, and {free / GIGABYTE:.1f} GB are free; "
        "choose another --output, or fewer --shards",
    )


def _fetch(files: Sequence[Remote], repository: Repository, directory: Path, events: Listener) -> dict[str, str]:
    """SHA-256 of each file by name, once it is verified in its place or in the staging folder."""
    stop = Event()

    def have(remote: Remote) -> str:
        staged = directory / STAGING / remote.name
        if digest := remote.digest_of(directory / remote.name):
            staged.unlink(missing_ok=True)  # of another commit
            return digest
        return repository.fetch(remote, staged, stop)

    total = sum(file.size for file in files) // MEGABYTE
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        working = {pool.submit(have, file): file for file in files}
        pending = set(working)
        try:
            while pending:
                done, pending = wait(pending, SECONDS_BETWEEN_REPORTS, FIRST_EXCEPTION)
                arrived = sum(file.size if job.done() else _arrived(file, directory) for job, file in working.items())
                events.progress("download MB", arrived // MEGABYTE, total, files=len(files) - len(pending))
                for job in done:
                    job.result()  # raises the job's error
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {file.name: job.result() for job, file in working.items()}


def _arrived(file: Remote, directory: Path) -> int:
    """The number of its bytes on this machine, verified or not."""
    staged = directory / STAGING / file.name
    sizes = [path.stat().st_size for path in (directory / file.name, staged, file.partial(staged)) if path.exists()]
    return min(file.size, max(sizes, default=0))


def _manifest(plan: Plan, digests: Mapping[str, str], directory: Path, origin: dict[str, Any]) -> Manifest:
    """Raises UserError if a file is not of its kind, or the number of tokens is not the one the repository states."""

    def local(file: Remote) -> Path:
        staged = directory / STAGING / file.name
        return staged if staged.exists() else directory / file.name

    shards = {split: [shard_entry(local(file), digests[file.name]) for file in vars(plan)[split]] for split in SPLITS}
    for split, tokens in plan.tokens.items():
        found = _tokens(shards[split])
        require(found == tokens, f"{origin['repository']}: {split} shards of {found} tokens, but it states {tokens}")
    tokenizer = tokenizer_entry(local(plan.tokenizer), digests[plan.tokenizer.name])
    return Manifest(directory, origin, tokenizer, **shards)


def _publish(manifest: Manifest, staging: Path) -> None:
    old = read_manifest(manifest.directory)
    if old is None or old.files != manifest.files:  # else a later commit of the repository changed nothing here
        manifest.write()
    for entry in manifest.files:
        staged = staging / entry["file"]
        if staged.exists():
            staged.replace(manifest.directory / entry["file"])
    for path in staging.iterdir():
        if not path.is_dir():
            path.unlink()


def _tokens(shards: Sequence[Mapping[str, Any]]) -> int:
    return sum(shard["tokens"] for shard in shards)
