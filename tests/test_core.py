"""The core stands on its own: it imports nothing of the launcher, and nothing outside itself."""

import subprocess
import sys

CORE = (
    "golf.utils.annotations",
    "golf.io.artifact",
    "golf.utils.atomic",
    "golf.build",
    "golf.codec",
    "golf.io.container",
    "golf.data.dataset",
    "golf.utils.hashing",
    "golf.data.loader",
    "golf.data.manifest",
    "golf.data.prefetch",
    "golf.data.shard",
    "golf.data.shards",
    "golf.data.tokenizer",
    "golf.runtime.device",
    "golf.utils.disk",
    "golf.runtime.dist",
    "golf.errors",
    "golf.evaluation",
    "golf.events",
    "golf.runtime.finite",
    "golf.runtime.gradients",
    "golf.kernels",
    "golf.model",
    "golf.optim",
    "golf.quantizer",
    "golf.utils.reading",
    "golf.runtime.cuda_graph",
    "golf.ttt.adaptation_state",
    "golf.resume.checkpointer",
    "golf.train.training_state",
    "golf.utils.safe_path",
    "golf.train",
    "golf.ttt",
)
# Imports the whole core where the launcher's packages cannot be imported, and prints what golf consists of then. What
# needs Triton, quack or FlashAttention is left out: not every machine has them.
IMPORT_CORE = f"""
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {{"hydra", "omegaconf", "wandb", "rich", "matplotlib"}}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocker())
for name in {CORE}:
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{{name}}."):
        if not found.name.endswith(("triton", "quack", "kernels.launch", "model.hybrid")):
            importlib.import_module(found.name)
print(*sorted(name for name in sys.modules if name.startswith("golf.")))
"""


def is_core(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in CORE)


def test_the_core_imports_nothing_of_the_launcher_and_nothing_outside_itself() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_CORE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported = done.stdout.split()
    assert set(CORE) <= set(imported)
    packages = [name for name in imported if not is_core(name)]
    assert packages == ["golf.data", "golf.resume"]  # themselves empty
