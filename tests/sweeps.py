"""Sweeps for tests, from the command line as a user types it, with a few optimizers that end badly."""

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from command import golf

OPTIMIZERS = {
    "failing": """\
        if not Path("mended").exists():
            raise ArithmeticError("one and one are three")
        """,
    "failing_once": """\
        if not Path("failed").exists():
            Path("failed").touch()
            raise ArithmeticError("one and one are three")
        """,
    "leaving": "raise SystemExit(0)",
    "killed": """\
        if dist.rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        dist.barrier()
        """,
    # A scheduler tells the job, which is its worker's parent, that it will take the host away, and then does it.
    "preempted": """\
        if not Path("preempted").exists():
            dist.barrier()
            if dist.rank() == 0:
                Path("preempted").touch()
                for number in (signal.SIGTERM, signal.SIGUSR2):
                    os.kill(os.getppid(), number)
                    time.sleep(0.5)
            time.sleep(5)  # the launcher tells the workers, which end this step first
        """,
}
TRAIN = ("stages=[train]", "trainer.steps=1", "data.val_tokens=130")


def write_optimizers(folder: Path) -> None:
    """An option of the group optimizer for each of OPTIMIZERS, with its class, and one whose values are wrong."""
    (folder / "optimizer").mkdir(parents=True)
    code = "import os, signal, time\nfrom pathlib import Path\n"
    code += "from golf.optim.adamw import AdamW\nfrom golf.runtime import dist\n"
    for name, body in OPTIMIZERS.items():
        lines = "".join(f"        {line}\n" for line in dedent(body).splitlines())
        code += f"class {name}(AdamW):\n    def step(self, step, lr_scale):\n{lines}"
        code += "        super().step(step, lr_scale)\n"
        option = f"defaults: [adamw, _self_]\n_target_: mine.{name}\n"
        (folder / "optimizer" / f"{name}.yaml").write_text(option)
    (folder / "optimizer" / "wrong.yaml").write_text("defaults: [adamw, _self_]\nmatrix_lr: -1.0\n")
    (folder / "mine.py").write_text(code)


SWEEP = ("--config-dir=own", "-m", "experiment=tiny", "cache.directory=cache")


def sweep(cwd: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m golf -m experiment=tiny` in `cwd`, with the optimizers that lie in its folder `own`."""
    command = [sys.executable, "-m", "golf", *SWEEP, *arguments]
    return subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=300)


def sweep_from_here(cwd: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same with its launcher in this process; its jobs have processes of their own."""
    return golf(cwd, *SWEEP, *arguments, **environment)


def statuses(cwd: Path) -> dict[str, dict]:
    """What each job of the one sweep says, by the option of its optimizer, or else by its name."""
    found = {path.parent.name: json.loads(path.read_text()) for path in cwd.glob("multirun/*/*/*/status.json")}
    return {chosen(status["overrides"]) or name: status for name, status in found.items()}


def chosen(overrides: list[str]) -> str:
    return "".join(override.partition("=")[2] for override in overrides if override.startswith("optimizer="))


def table_of(done: subprocess.CompletedProcess[str]) -> str:
    """The last table, with its words in one line."""
    said = done.stdout
    return " ".join(said[said.rindex("┏") :].replace("│", " ").split())
