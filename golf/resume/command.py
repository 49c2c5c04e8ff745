"""The command that goes on with a run or a sweep."""

from pathlib import Path

from golf.config.override import override


def resume_command(directory: Path | str) -> str:
    """What to type again, as in `the same command with hydra.run.dir=multirun/2026-11-23/10-15-00`."""
    is_sweep = (Path(directory) / "multirun.yaml").is_file()
    return f"the same command with {override('sweep.resume' if is_sweep else 'hydra.run.dir', directory)}"
