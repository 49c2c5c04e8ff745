"""The submission folder, as the challenge requires it."""

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
    """The entries of submission.yaml."""

    author: str
    github_id: str
    name: str
    blurb: str
    track: str


@dataclass(frozen=True)
class Facts:
    """The facts in the folder's texts. figures: by seed (golf.submit.evidence); machine: device, ranks and torch, as in
    the log; changes: key, value here and value of the record."""

    about: About
    figures: Mapping[int, Mapping[str, float]]
    machine: Mapping[str, Any]
    audit: Audit
    changes: Sequence[tuple[str, str, str]]


def write_folder(folder: Path, facts: Facts, script: bytes, config: Mapping[str, Any], seeds: Sequence[Seed]) -> None:
    """Write every file, except logs that do not exist yet. config: the one in the script.

    submission.json is written last and has the digests of all other files, which reveals later changes.
    """
    versions = seeds[0].run.results["provenance"]["versions"]
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / SCRIPT, script)
    _write(folder / REQUIREMENTS, "\n".join(requirements(modules(config), versions)).encode() + b"\n")
    write_json(folder / COMPLIANCE, facts.audit.as_json())
    _write(folder / README, readme(facts).encode())
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
    write_json(folder / SUBMISSION, submission(facts) | stated)


def submission(facts: Facts) -> dict[str, Any]:
    """submission.json without `date`, `packed_by` and `files`."""
    scores = [each["val_bpb"] for each in facts.figures.values()]
    return {
        **asdict(facts.about),
        "val_bpb": fmean(scores),
        "val_loss": fmean(each["val_loss"] for each in facts.figures.values()),
        "val_bpb_std": stdev(scores) if len(scores) > 1 else None,
        "seeds": list(facts.figures),
        "seed_results": {str(seed): dict(each) for seed, each in facts.figures.items()},
        "hardware": hardware(facts.machine),
        "pytorch_version": facts.machine["torch"],
        "compliance": facts.audit.as_json()["verdict"],
    }


def readme(facts: Facts) -> str:
    """README.md."""
    environment = Environment(
        loader=PackageLoader("golf.submit", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["as_text"] = as_text
    scores = [each["val_bpb"] for each in facts.figures.values()]
    return environment.get_template("README.md.j2").render(
        about=facts.about,
        figures=facts.figures,
        mean=fmean(scores),
        std=stdev(scores) if len(scores) > 1 else None,
        hardware=hardware(facts.machine),
        changes=facts.changes,
        audit=facts.audit,
        commands=commands(facts.figures, facts.machine["ranks"], Path(SCRIPT)),
    )


def packed_by() -> dict[str, str]:
    """What determines the script that a configuration is packed into."""
    return {"code_sha256": code_digest(), "python": python_version(), "python-minifier": version("python-minifier")}


def hardware(machine: Mapping[str, Any]) -> str:
    """As in `8×NVIDIA H100 80GB HBM3`."""
    return f"{machine['ranks']}×{machine['device']}"


def commands(seeds: Iterable[int], ranks: int, script: Path) -> list[str]:
    """The command for each seed."""
    start = "python" if ranks == 1 else f"torchrun --standalone --nproc_per_node={ranks}"
    return [f"{start} {quote(script)} --seed {seed} --data DIR" for seed in seeds]


def requirements(sources: Mapping[str, str], versions: Mapping[str, str | None]) -> list[str]:
    """The distributions that the script's modules import, at `versions` or the installed ones."""
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
    """Top-level names of a minified module's imports; taken from its text, since parsing a foreign module could exhaust
    the memory."""
    found = [names for pair in IMPORT.findall(source) for names in pair]
    return {name.split(".")[0].strip() for names in found for name in names.replace(" as ", ".").split(",")} - {""}


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def digest(script: bytes) -> str:
    return hashlib.sha256(script).hexdigest()
