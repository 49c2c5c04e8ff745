"""What is installed is what is tested: the README's commands, the continuous run and the pinned versions agree."""

import re
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PINS = {
    canonicalize_name(name): pinned
    for name, pinned in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def extra(name: str) -> list[Requirement]:
    """What an extra of this package needs on this machine, other extras of it included."""
    needed = [Requirement(line) for line in PROJECT["optional-dependencies"][name]]
    needed = [one for one in needed if one.marker is None or one.marker.evaluate()]
    included = [one for own in needed if own.name == PROJECT["name"] for other in own.extras for one in extra(other)]
    return [one for one in needed if one.name != PROJECT["name"]] + included


def closure() -> set[str]:
    """Every distribution that the checkout needs on this machine, its tests included."""
    pending = [*map(Requirement, PROJECT["dependencies"]), *extra("test")]
    needed: dict[str, set[str]] = {}  # name → the extras that were followed; "" is none
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        extras = {"", *requirement.extras} - needed.setdefault(name, set())
        needed[name] |= extras
        for line in distribution(name).requires or [] if extras else []:
            further = Requirement(line)
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                pending.append(further)
    return set(needed) - {"golf"}


def test_everything_that_is_installed_is_pinned() -> None:
    installed = {name: version(name).partition("+")[0] for name in closure()}  # 2.13.0+cpu is torch 2.13.0
    assert {"torch", "setuptools", "tomlkit", "numpy", "pytest"} <= installed.keys()
    assert {name: PINS.get(name) for name in installed} == installed


def test_the_continuous_run_is_the_readmes_test_command() -> None:
    commands = re.findall(r"^git clone REPOSITORY golf && cd golf && (.*)$", (ROOT / "README.md").read_text(), re.M)
    start, tests = commands
    assert start.endswith("&& python -m golf")
    assert tests.endswith("&& python -m pytest -n 2")
    assert tests in (ROOT / ".ci" / "run").read_text().splitlines()
    for command in commands:
        assert f" torch=={PINS['torch']} " in command


def test_what_the_readme_installs_is_the_clone_itself() -> None:
    """Else `golf` and `python -m golf`, started in the clone, would differ after the first edit."""
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("[cgmt]*/**/README.md")]
    written = "".join(path.read_text(encoding="utf-8") for path in texts)
    installed = re.findall(r"pip install -c constraints\.txt (.*?)(?: &&|\n|`)", written)
    assert len(installed) >= 7
    assert [what for what in installed if not re.fullmatch(r"-e (\.|'\.\[\w+\]')", what)] == []
