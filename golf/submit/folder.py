"""The folder to hand in, as the challenge wants it."""

import ast
import hashlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import packages_distributions, version
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from golf.atomic import replacing, write_json
from golf.run_files import ARTIFACT
from golf.submit.audit import Audit
from golf.submit.evidence import Seed
from golf.submit.pack import modules

SCRIPT = "train_gpt.py"


@dataclass(frozen=True)
class About:
    """What conf/submission.yaml says."""

    author: str
    github_id: str
    name: str
    blurb: str
    track: str


def write_folder(
    folder: Path,
    about: About,
    script: bytes,
    config: Mapping[str, Any],
    seeds: Sequence[Seed],
    audit: Audit,
    changes: Sequence[tuple[str, str, str]],
) -> None:
    """Write every file but the logs that are not there yet. config: what the script holds; changes: key, value here and
    value of the record."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / SCRIPT, script)
    _write(folder / "requirements.txt", "\n".join(requirements(config, seeds[0].run.results)).encode() + b"\n")
    write_json(folder / "compliance.json", audit.as_json())
    write_json(folder / "submission.json", submission(about, seeds, audit))
    readme = Environment(
        loader=PackageLoader("golf.submit", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    ).get_template("README.md.j2")
    scores = [seed.figures["val_bpb"] for seed in seeds]
    text = readme.render(
        about=about,
        seeds=seeds,
        mean=fmean(scores),
        std=stdev(scores) if len(scores) > 1 else None,
        hardware=hardware(seeds),
        changes=changes,
        audit=audit,
        commands=commands(seeds, ""),
    )
    _write(folder / "README.md", text.encode())
    first = seeds[0]
    made = first.run.directory if first.log is None else first.log.path.parent / f"seed{first.seed}"
    if (made / ARTIFACT).is_file():
        shutil.copy(made / ARTIFACT, folder / ARTIFACT)
    for seed in seeds:
        if seed.log is not None:
            shutil.copy(seed.log.path, folder / seed.log.path.name)


def submission(about: About, seeds: Sequence[Seed], audit: Audit) -> dict[str, Any]:
    """submission.json."""
    figures = {str(seed.seed): seed.figures for seed in seeds}
    scores = [each["val_bpb"] for each in figures.values()]
    versions = seeds[0].run.results["provenance"]["versions"]
    return {
        **{key: value for key, value in asdict(about).items() if key != "track"},
        "date": date.today().isoformat(),
        "track": about.track,
        "val_bpb": fmean(scores),
        "val_loss": fmean(each["val_loss"] for each in figures.values()),
        "val_bpb_std": stdev(scores) if len(scores) > 1 else None,
        "seeds": [seed.seed for seed in seeds],
        "seed_results": figures,
        "hardware": hardware(seeds),
        "pytorch_version": versions["torch"],
        "compliance": audit.as_json()["verdict"],
    }


def hardware(seeds: Sequence[Seed]) -> str:
    """As in `8×NVIDIA H100 80GB HBM3`."""
    provenance = seeds[0].run.results["provenance"]
    log = seeds[0].log
    ranks, name = provenance["ranks"], provenance["device"]["name"]
    if log is not None:
        ranks, name = log.machine["ranks"], log.machine["device"]
    return f"{ranks}×{name}"


def commands(seeds: Sequence[Seed], where: str) -> list[str]:
    """What to type for each seed; `where` is the directory of the script, as a prefix."""
    ranks = seeds[0].run.results["provenance"]["ranks"]
    start = "python" if ranks == 1 else f"torchrun --standalone --nproc_per_node={ranks}"
    return [f"{start} {where}{SCRIPT} --seed {seed.seed} --data DIR" for seed in seeds]


def requirements(config: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    """The distributions that the script imports, at the versions of the run."""
    trees = [ast.parse(source) for source in modules(config).values()]
    imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    named = {name for node in imports for name in _modules(node)}
    distributions = packages_distributions()
    needed = {distributions[name][0] for name in {name.partition(".")[0] for name in named} if name in distributions}
    known = results["provenance"]["versions"]
    return [
        f"{name}=={(known.get(name) or version(name)).partition('+')[0]}"
        for name in sorted(needed - {"golf"})
        if name not in sys.stdlib_module_names
    ]


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def digest(script: bytes) -> str:
    return hashlib.sha256(script).hexdigest()
