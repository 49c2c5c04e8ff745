"""The files of one run: where a stage finds its inputs and puts its output (multirun/README.md)."""

from pathlib import Path
from typing import Any

from golf.errors import UserError, excerpt, require
from golf.io.forms import RESULT_OF, Config, Report, Results, TrainConfig
from golf.utils.atomic import write_json
from golf.utils.reading import read_json, read_yaml, shaped

CHECKPOINT, ARTIFACT, RESULTS, CONFIG = "checkpoint.pt", "artifact.golf", "results.json", "config.yaml"
RUN = "run.json"  # golf.run.identity
MULTIRUN = "multirun.yaml"  # in a sweep's directory: its configuration and command line, by Hydra


class RunFiles:
    """A run directory, and optionally a `source`: an earlier run's directory, or an artifact file.

    Files that this run has made (`made`: stages, and names of files) are read from the run directory, all others from
    the source; without one from the run directory too, so that a repeated job finds its earlier files.
    """

    def __init__(self, directory: Path, source: str | None):
        require(source != "", "input= is empty; give a run directory or an artifact file, or null")
        self.directory = directory
        self.made: set[str | None] = set()
        self.source = None if source is None else Path(source)
        if self.source is not None and not self.source.exists():
            raise UserError(f"input={source} does not exist; give a run directory or an artifact file")

    def path(self, name: str) -> Path:
        return self.directory / name

    def find(self, name: str) -> Path | None:
        """Path of the file `name`, or None."""
        path = self.directory / name
        if self.source is not None and name not in self.made:
            if not self.source.is_dir():
                return self.source if name == ARTIFACT else None
            path = self.source / name
        return path if path.is_file() else None

    def get(self, name: str) -> Path:
        """Path of the file `name`, which must exist; the pipeline has checked that it does."""
        found = self.find(name)
        assert found is not None, name
        return found

    def read_report(self, stage: str) -> dict[str, Any] | None:
        """The report of a stage, here or in the source, or None. Raises UserError if it cannot be read."""
        found = self.find(report_name(stage)) if stage not in self.made else self.path(report_name(stage))
        if found is None:
            return None
        try:
            return report_at(found)
        except UserError as error:
            raise UserError(f"{error}; remove it to continue without it") from error

    def write_report(self, report: dict[str, Any]) -> None:
        assert report.keys() == Report.__required_keys__
        write_json(self.path(report_name(report["stage"])), report)


def occupant(directory: Path) -> str | None:
    """The name of a file that shows that a directory has a run or a sweep; None if there is none."""
    return next(
        (name for name in (MULTIRUN, RUN, CONFIG, RESULTS, CHECKPOINT, ARTIFACT) if (directory / name).exists()), None
    )


def report_name(stage: str) -> str:
    """The file that holds a stage's report."""
    return f"{stage}.json"


def report_at(path: Path) -> dict[str, Any]:
    """The report in a file <stage>.json. Raises UserError if it is not one of this version."""
    report: dict[str, Any] = read_json(path, Report)
    check_report(report, path, path.stem)
    return report


def check_report(report: dict[str, Any], path: Path, stage: str) -> None:
    """Raise UserError unless a report is that of the stage, in what depends on the stage."""
    known = report["stage"] == stage and stage in RESULT_OF
    require(known, f"{path}: is not a report of the stage {excerpt(stage)}")
    shaped(report["result"], f"{path}: result", RESULT_OF[stage])
    shaped(report["config"], f"{path}: config", TrainConfig if stage == "train" else dict[str, Any])


def read_reports(directory: Path) -> list[dict[str, Any]]:
    """The reports of the stages that a run directory holds, in the order of writing. Raises UserError if one cannot be
    read."""
    found = [path for stage in RESULT_OF if (path := directory / report_name(stage)).exists()]
    return [report_at(path) for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]


def runs_of_sweep(directory: Path) -> list[Path]:
    """The directories of a sweep's runs; empty for a run's directory."""
    runs = sorted(path.parent for path in directory.glob(f"*/{CONFIG}"))
    return [] if (directory / CONFIG).exists() else runs


def read_results(directory: Path) -> dict[str, Any] | None:
    """The content of results.json of a run directory, or None without it. Raises UserError if it cannot be read."""
    path = directory / RESULTS
    return read_json(path, Results) if path.exists() else None


def read_config(directory: Path) -> dict[str, Any]:
    """The content of config.yaml of a run directory. Raises UserError if it cannot be read."""
    config: dict[str, Any] = read_yaml(directory / CONFIG, Config)
    return config
