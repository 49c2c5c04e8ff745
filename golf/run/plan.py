"""What a run does: the stages that are selected, their files, and the configuration with what its input fixes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golf.errors import UserError, require
from golf.io.run_directory import RESULTS, RunFiles, report_name, runs_of_sweep
from golf.run import identity
from golf.run.input_run import with_model_of, with_seeds_of
from golf.stages.order import STAGES, names_of, stages_of
from golf.stages.stage import Stage
from golf.utils.hashing import sha256


@dataclass(frozen=True, kw_only=True)
class Plan:
    """config: with the model and the seeds of the file that the first stage reads. tokenizer: SHA-256 of the one that
    this file was made with; None if the first stage reads none."""

    stages: Sequence[Stage]
    files: RunFiles
    config: Mapping[str, Any]
    tokenizer: str | None

    def identity(self, data: Mapping[str, Any] | None) -> dict[str, Any]:
        """The identity of the run on data of these digests; None to leave the data out."""
        read = {name for stage in self.stages for name in stage.reads} - {stage.writes for stage in self.stages}
        inputs = {name: sha256(self.files.get(name)) for name in sorted(read)}
        return identity.identity(self.stages, self.config, inputs, data)

    def check_tokenizer(self, path: Path, digest: str) -> None:
        """Raise UserError if the tokenizer of the data is not the one that the input was made with."""
        if self.tokenizer not in (None, digest):
            source = self.files.get(self.stages[0].reads[0])
            raise UserError(f"{source}: was made with another tokenizer than {path}; give it its data")

    def remove_stale(self) -> None:
        """Of another run that is overwritten, remove the results and the files of all stages from the first one of this
        run on; of all stages if this run reads its input elsewhere."""
        stale = STAGES if self.files.source is not None else STAGES[STAGES.index(self.stages[0]) :]
        for name in (RESULTS, *(name for stage in stale for name in (report_name(stage.name), stage.writes))):
            if name is not None:
                self.files.path(name).unlink(missing_ok=True)


def make_plan(config: Mapping[str, Any], directory: Path, overridden: frozenset[str]) -> Plan:
    """The plan of a run in `directory`. overridden: the keys and groups that the command line set.

    Raises UserError if no stage is selected, or if one cannot find its input.
    """
    stages = stages_of(config["stages"])
    require(len(stages) > 0, f"stages=[] selects nothing; choose from {[stage.name for stage in STAGES]}")
    twice = len(set(config["stages"])) < len(config["stages"])
    require(not twice, f"stages={config['stages']}: names a stage twice")
    files = RunFiles(directory, config["input"])
    _check_inputs(stages, files)
    if not stages[0].reads:
        none = config["input"] is None
        require(none, f"input={config['input']}: train reads none; leave it out, or leave train out of stages")
        return Plan(stages=stages, files=files, config=config, tokenizer=None)
    source = stages[0].reads[0]
    config, tokenizer = with_model_of(files.get(source), source, config, overridden)
    if trained := files.read_report("train"):
        config = with_seeds_of(trained, config, overridden)
    return Plan(stages=stages, files=files, config=config, tokenizer=tokenizer)


def _check_inputs(stages: Sequence[Stage], files: RunFiles) -> None:
    """Raise UserError unless every file that a stage reads is written by a stage of this run, or is there already and
    not made stale by one."""
    if files.source is not None and (runs := runs_of_sweep(files.source)):
        raise UserError(f"input={files.source}: is a sweep's directory; give one of its runs, such as {runs[0]}")
    for stage in STAGES:
        if stage not in stages:
            files.read_report(stage.name)  # readable, if it is there
    for stage in stages:
        for name in stage.reads:
            maker = next(other for other in STAGES if other.writes == name)
            first = stages[0] in STAGES[STAGES.index(maker) :]  # no stage of this run would change what maker wrote
            if maker in stages or (first and files.find(name) is not None):
                continue
            raise UserError(
                f"stages={names_of(stages)}: {stage.name} needs {name}, which the "
                f"stage {maker.name} makes; add {maker.name} to stages"
                f"{', or give input=<a run directory that has it>' * first}"
            )
