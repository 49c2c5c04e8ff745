"""An environment that has what a submission's requirements list, and nothing else."""

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = ("torch", "numpy", "sentencepiece", "constriction")


def site(directory: Path, requirements: tuple[str, ...] = REQUIREMENTS) -> Path:
    """A folder of links to the top-level files of the requirements and of all that they require in turn."""
    directory.mkdir()
    pending, seen = list(requirements), set()
    while pending:
        name = canonicalize_name(Requirement(pending.pop()).name)
        if name in seen:
            continue
        seen.add(name)
        found = distribution(name)
        for line in found.requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                pending.append(line)
        tops = {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            link = directory / top
            if not link.exists():
                link.symlink_to(found.locate_file(top))
    return directory


def run_script(
    site: Path,
    cwd: Path,
    *arguments: str,
    launcher: tuple[str, ...] = (),
    stdout: int = subprocess.PIPE,
    **variables: str,
) -> subprocess.CompletedProcess:
    """Run `python [launcher] train_gpt.py arguments` where nothing but the folder `site` is installed.

    variables: of the environment."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "OMP_NUM_THREADS")}
    command = [sys.executable, "-S", *launcher, "train_gpt.py", *arguments]
    environment = {**kept, "PYTHONPATH": str(site), **variables}
    return subprocess.run(
        command, cwd=cwd, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=600
    )
