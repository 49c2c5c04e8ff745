"""Every command of the READMEs runs here, is composed where it would train for long, or is listed with the reason why
it cannot run. Links lead somewhere, and what docstrings cite exists."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from command import golf
from hydra.core.override_parser.overrides_parser import OverridesParser
from runs import FEW

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("conf", "golf", "multirun", "tests")
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("README.md"))
        if path.parent.name != "submit"
    ),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^):\s]+)\)")

# In this order, in one directory. RUN and SWEEP lie there, and a submission beside the runs of its script.
RUN = [
    "golf --help",
    "golf --cfg job experiment=record",
    "golf experiment=tiny 'stages=[evaluate]' input=RUN ttt.epochs=0",
    "golf experiment=tiny 'stages=[evaluate]' input=RUN/artifact.golf",
    "golf experiment=tiny 'stages=[quantize,evaluate]' input=RUN quantizer=rtn",
    "golf resume RUN",
    "golf resume SWEEP",
    "golf cache list",
    "golf cache keys RUN",
    "golf cache prune --limit-gib 5",
    "golf report SWEEP",
    "golf report SWEEP --baseline record",
    "golf dashboard ENTITY/PROJECT --dry-run",
    "golf verify submission",
    "golf data build DOCS.jsonl --output DIR --vocab 1024 --val-documents 500",
    "golf data check --tokenizer FILE.model DOCS.jsonl",
    "golf data check --tokenizer FILE.model DIR/*_val_*.bin",
    "golf bench --help",
]
INCOMPLETE = 'golf submit RUN author="Ada Lovelace" github_id=ada name="Engine"'  # its script's logs are missing
NOT_HERE = {
    r"git clone ": "needs the network; .ci/run is the tests' command (tests/test_install.py)",
    r"python3 -m venv |pip install ": "needs the network",
    r"python -m pytest ": "is what runs this",
    r"ruff check ": "is run by .ci/run",
    r"python tests/fuzz/run.py --count 20000": "takes an hour; tests/fuzz runs a share",
    r"golf data download ": "needs the network; tests/data/test_download.py has a server of its own",
    r"golf report SWEEP --wandb|wandb sync |golf dashboard ENTITY/PROJECT$": "needs a login to W&B",
    r"golf verify submission --data DIR": "needs the script's data; tests/verify/test_verify.py repeats a score",
    r"golf bench experiment=record |torchrun ": "needs GPUs; tests/bench and tests/launch do the same on the CPU",
}


def commands() -> list[str]:
    """The lines of all ```bash blocks, `python -m golf` as `golf`, without comments."""
    found: dict[str, None] = {}
    for path in TEXTS:
        for language, block in BLOCK.findall(path.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines() if language == "bash" else ():
                line = re.sub(r"(^|\s+)#\s.*$", "", line).strip()
                found[re.sub(r"^python -m golf\b\.?", "golf ", line).replace("golf  ", "golf ").strip()] = None
    return [line for line in found if line]


def reason(command: str) -> str | None:
    """Why it cannot run here."""
    return next((why for pattern, why in NOT_HERE.items() if re.match(pattern, command)), None)


COMPOSED = [
    command
    for command in commands()
    if re.match(r"golf( |$)(?!(bench|cache|dashboard|data|report|resume|submit|verify)\b(?!=))", command)
    and command not in RUN
]


def jobs(command: str) -> Iterator[list[str]]:
    """The arguments of each job that the command starts."""
    words = [word for word in shlex.split(command)[1:] if word not in ("-m", "--multirun")]
    choices = []
    for word in words:
        swept = "=" in word and OverridesParser.create().parse_override(word)
        choices.append(
            [f"{swept.key_or_group}={value}" for value in swept.sweep_string_iterator()]
            if swept and swept.is_sweep_override()
            else [word]
        )
    yield from map(list, product(*choices))


def test_each_command_runs_is_composed_or_has_a_reason() -> None:
    known = {*RUN, *COMPOSED, INCOMPLETE}
    assert [command for command in commands() if command not in known and reason(command) is None] == []
    assert {*RUN, INCOMPLETE} - {*commands()} == set()
    assert [pattern for pattern in NOT_HERE if not any(re.match(pattern, command) for command in commands())] == []


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty directory with the files that the READMEs show."""
    where = tmp_path_factory.mktemp("readmes")
    for path in TEXTS:
        for language, block in BLOCK.findall(path.read_text(encoding="utf-8")):
            if language in ("python", "yaml") and (name := re.match(r"# ([\w/]+\.(?:py|yaml))\n", block)):
                file = where / name[1]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block)
    return where


@pytest.mark.slow
@pytest.mark.parametrize("command", COMPOSED)
def test_what_trains_for_long_is_composed(command: str, here: Path) -> None:
    for arguments in jobs(command):
        done = golf(here, "--cfg", "job", *arguments)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_is_cheap_runs(tiny_submission: Path, here: Path) -> None:
    cache = {"XDG_CACHE_HOME": str(here / "cache")}
    quick = ("experiment=tiny", *FEW, "trainer.steps=2", "ttt.epochs=1")
    for where in (["hydra.run.dir=RUN"], ["-m", "hydra.sweep.dir=SWEEP"]):
        done = golf(here, *where, *quick, **cache)
        assert done.returncode == 0, done.stderr
    done = golf(here, *shlex.split(INCOMPLETE)[1:], **cache)
    assert done.returncode == 1, done.stderr
    assert "logs: complete" in done.stdout
    shutil.rmtree(here / "submission")
    shutil.copytree(tiny_submission / "submission", here / "submission")
    text = "".join(path.read_text() for path in sorted((ROOT / "golf").rglob("*.py")))
    documents = [text[i : i + 800] for i in range(0, len(text), 800)][:600]
    (here / "DOCS.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    for command in RUN:
        words = [word for given in shlex.split(command)[1:] for word in sorted(map(str, here.glob(given))) or [given]]
        done = golf(here, *(words if "*" in command else shlex.split(command)[1:]), **cache)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        if "--output DIR" in command:
            shutil.copy(here / "DIR" / "tokenizer.model", here / "FILE.model")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        file, _, heading = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def headings(path: Path) -> set[str]:
    """As GitHub names them in links."""
    found = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_the_first_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 9000


def test_what_docstrings_cite_is_specified() -> None:
    """`spec: Model 3` is the third point below the heading Model."""
    text = (ROOT / "golf" / "README.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"^### (\w+).*\n", text[text.index("## The specification") :], flags=re.MULTILINE)
    points = {
        name: set(re.findall(r"^(\d+)\. ", body, re.MULTILINE))
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
    cited = set()
    for path in (ROOT / "golf").rglob("*.py"):
        cited |= set(re.findall(r"\b[Ss]pec: ([A-Z]\w+)((?: (?:and )?\d+(?:–\d+)?)*)[ .):;\n]", path.read_text()))
    assert {("Data", ""), ("The", ""), ("Model", " 3")} <= cited
    for name, numbers in cited - {("Any", "")}:
        assert {*re.findall(r"\d+", numbers)} <= points[name], name
