"""The folder to hand in, as the challenge wants it."""

import hashlib
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import packages_distributions, version
from pathlib import Path
from platform import python_version
from statistics import fmean, stdev
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from golf.io.run_directory import ARTIFACT
from golf.pack.pack import modules
from golf.run.provenance import code_digest
from golf.submit.audit import Audit
from golf.submit.evidence import Seed
from golf.submit.markdown import as_text
from golf.utils.atomic import atomic_write, write_json
from golf.utils.hashing import sha256
from golf.utils.shell import quote

SCRIPT, REQUIREMENTS = "train_gpt.py", "requirements.txt"
IMPORT = re.compile(r"(?:^|[;:])[ \t]*(?:from[ \t]+([\w.]+)|import[ \t]+([\w., \t]+))", re.MULTILINE)
SUBMISSION, COMPLIANCE, README = "submission.json", "compliance.json", "README.md"


@dataclass(frozen=True)
class About:
    """What golf/submit/submission.yaml says."""

    author: str
    github_id: str
    name: str
    blurb: str
    track: str


@dataclass(frozen=True)
class Told:
    """What the folder's texts are made from. figures: by seed (golf.submit.evidence); machine: device, ranks and torch,
    as the log has them; changes: key, value here and value of the record."""

    about: About
    figures: Mapping[int, Mapping[str, float]]
    machine: Mapping[str, Any]
    audit: Audit
    changes: Sequence[tuple[str, str, str]]


def write_folder(folder: Path, told: Told, script: bytes, config: Mapping[str, Any], seeds: Sequence[Seed]) -> None:
    """Write every file but the logs that are not there yet. config: what the script holds.

    submission.json is written last and holds the digests of all others: a folder that was changed afterwards says so.
    """
    versions = seeds[0].run.results["provenance"]["versions"]
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / SCRIPT, script)
    _write(folder / REQUIREMENTS, "\n".join(requirements(modules(config), versions)).encode() + b"\n")
    write_json(folder / COMPLIANCE, told.audit.as_json())
    _write(folder / README, readme(told).encode())
    written = [SCRIPT, REQUIREMENTS, COMPLIANCE, README]
    first = seeds[0]
    made = first.run.directory if first.log is None else first.log.path.parent / f"seed{first.seed}"
    copied = [made / ARTIFACT, *(seed.log.path for seed in seeds if seed.log is not None)]
    for path in copied:
        if path.is_file():
            shutil.copy(path, folder / path.name)
            written.append(path.name)
    files = {name: sha256(folder / name) for name in sorted(written)}
    stated = {"date": date.today().isoformat(), "packed_by": packed_by(), "files": files}
    write_json(folder / SUBMISSION, submission(told) | stated)


def submission(told: Told) -> dict[str, Any]:
    """submission.json, but for the date, what packed the script, and the files."""
    scores = [each["val_bpb"] for each in told.figures.values()]
    return {
        **asdict(told.about),
        "val_bpb": fmean(scores),
        "val_loss": fmean(each["val_loss"] for each in told.figures.values()),
        "val_bpb_std": stdev(scores) if len(scores) > 1 else None,
        "seeds": list(told.figures),
        "seed_results": {str(seed): dict(each) for seed, each in told.figures.items()},
        "hardware": hardware(told.machine),
        "pytorch_version": told.machine["torch"],
        "compliance": told.audit.as_json()["verdict"],
    }


def readme(told: Told) -> str:
    """README.md."""
    environment = Environment(
        loader=PackageLoader("golf.submit", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["as_text"] = as_text
    scores = [each["val_bpb"] for each in told.figures.values()]
    return environment.get_template("README.md.j2").render(
        about=told.about,
        figures=told.figures,
        mean=fmean(scores),
        std=stdev(scores) if len(scores) > 1 else None,
        hardware=hardware(told.machine),
        changes=told.changes,
        audit=told.audit,
        commands=commands(told.figures, told.machine["ranks"], Path(SCRIPT)),
    )


def packed_by() -> dict[str, str]:
    """What has to be the same for the same configuration to be packed into the same script."""
    return {"code_sha256": code_digest(), "python": python_version(), "python-minifier": version("python-minifier")}


def hardware(machine: Mapping[str, Any]) -> str:
    """As in `8×NVIDIA H100 80GB HBM3`."""
    return f"{machine['ranks']}×{machine['device']}"


def commands(seeds: Iterable[int], ranks: int, script: Path) -> list[str]:
    """What to type for each seed."""
    start = "python" if ranks == 1 else f"torchrun --standalone --nproc_per_node={ranks}"
    return [f"{start} {quote(script)} --seed {seed} --data DIR" for seed in seeds]


def requirements(sources: Mapping[str, str], versions: Mapping[str, str | None]) -> list[str]:
    """The distributions that the script's modules import, at these versions or those that are installed."""
    named = {name for source in sources.values() for name in imported(source)}
    distributions = packages_distributions()
    there = {name for name, found in versions.items() if found} | distributions.keys()
    needed = {distributions.get(name, [name])[0] for name in named & there}
    return [
        f"{name}=={(versions.get(name) or version(name)).partition('+')[0]}"
        for name in sorted(needed - {"golf"})
        if name not in sys.stdlib_module_names
    ]


def imported(source: str) -> set[str]:
    """Top-level names of what a minified module imports; from its text, since the syntax tree of somebody else's module
    could fill the memory."""
    found = [names for pair in IMPORT.findall(source) for names in pair]
    return {name.split(".")[0].strip() for names in found for name in names.replace(" as ", ".").split(",")} - {""}


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def digest(script: bytes) -> str:
    return hashlib.sha256(script).hexdigest()
