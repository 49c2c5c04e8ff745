"""The provenance of a result: code, configuration, data, versions, device and date."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from golf import paths

CORE = ("torch", "triton", "numpy", "sentencepiece", "brotli", "constriction")
DISTRIBUTIONS = (*CORE, "hydra-core", "omegaconf", "wandb")


def provenance(config: Mapping[str, Any], data_digests: Mapping[str, Any], device: str) -> dict[str, Any]:
    """The provenance of a result, as JSON values.

    config: the resolved configuration. data_digests: of the data and the tokenizer, included unchanged. device: `cpu`,
    `cuda` or `cuda:0`.
    """
    return {
        "git": git_state(paths.PACKAGE.parent),
        "code_sha256": code_digest(),
        "config_sha256": config_digest(config),
        "data": dict(data_digests),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in DISTRIBUTIONS},
        "device": _device(device),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def code_digest() -> str:
    """SHA-256 of the package's modules and its configuration files, the same in a checkout and in a wheel."""
    package, conf = paths.PACKAGE, paths.config_dir()
    files = {f"golf/{path.relative_to(package).as_posix()}": path for path in package.rglob("*.py")}
    files |= {f"conf/{path.relative_to(conf).as_posix()}": path for path in conf.rglob("*.yaml")}
    listing = [f"{hashlib.sha256(files[name].read_bytes()).hexdigest()} {name}\n" for name in sorted(files)]
    return hashlib.sha256("".join(listing).encode()).hexdigest()


def config_digest(config: Mapping[str, Any]) -> str:
    """SHA-256 of `config` as JSON; the order of its keys does not matter."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def git_state(checkout: Path) -> dict[str, Any] | None:
    """Commit of the git checkout at exactly this directory and whether its files differ from it; None without one.

    A directory inside another repository, as site-packages may be, is not a checkout of this code.
    """
    if not (checkout / ".git").exists():
        return None
    # A git hook, for one, sets variables that point git at its own repository.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", *arguments]
        return subprocess.run(
            command, cwd=checkout, env=environment, capture_output=True, text=True, check=True, timeout=30
        ).stdout

    try:
        return {"commit": git("rev-parse", "HEAD").strip(), "dirty": git("status", "--porcelain") != ""}
    except (OSError, subprocess.SubprocessError):
        return None


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _device(spec: str) -> dict[str, Any]:
    import torch  # lazily: digests do not need it

    device = torch.device(spec)
    processor = _processor()
    if device.type == "cuda":
        name, count = torch.cuda.get_device_name(device), torch.cuda.device_count()
    else:
        name, count = processor, os.cpu_count() or 1
    return {"type": device.type, "name": name, "count": count, "cpu": processor}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
