"""Shared by all tests: this folder is importable (golden numbers, readers, runs, servers), and one thread computes.

The tensors of the tests are too small to share, and threads that wait for each other are slow on a busy machine.
"""

import fcntl
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported, here and in the processes that tests start

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # kernels run on the CPU, by Triton's interpreter; read when it is imported

LONGEST = (
    "toggles",
    "launch",
    "sweep",
    "test_smoke.py",
    "test_pipeline.py",
    "submit",
    "verify",
    "bench",
    "test_readmes.py",
)


def pytest_collection_modifyitems(items):
    """What takes longest comes first, so that no process of pytest-xdist is left alone with it at the end."""
    here = Path(__file__).parent

    def place(item):
        top = item.path.relative_to(here).parts[0]
        return LONGEST.index(top) if top in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(scope="module")
def wandb_home(tmp_path_factory):
    """An empty home and working directory, and nothing of W&B in the environment."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("WANDB_", "XDG_"))]:
            patch.delenv(name)
        for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_ERROR_REPORTING"):
            patch.setenv(name, "")  # every run sets them; here they are noted, to be undone
        patch.delenv("NETRC", raising=False)
        patch.setenv("HOME", str(home))
        patch.setenv("no_proxy", "*")
        patch.chdir(home)
        yield home


@pytest.fixture
def fresh_wandb():
    """W&B's service ends with the test, and with it the settings that it was started with."""
    yield
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()


@pytest.fixture(scope="session")
def tiny_submission(tmp_path_factory):
    """What submit.tiny makes: to be read, and copied before it is changed. The processes of pytest-xdist share it."""
    from submit.tiny import make  # imports torch

    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny_submission"
    root.mkdir(exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "made").exists():
            make(root)
            (root / "made").touch()
    return root
