"""Runs one stage of a job after the other: from the cache, resumed or anew."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from golf.cache.entries import Entry
from golf.cache.stage_cache import NoCache, load, store
from golf.errors import UserError
from golf.io.event_file import EventRecorder
from golf.io.run_directory import report_name
from golf.resume.resume import NoResume
from golf.runtime import dist
from golf.stages.context import StageContext
from golf.stages.key import stage_key
from golf.stages.stage import Stage, run_stage
from golf.utils.disk import room_for
from golf.utils.hashing import sha256
from golf.utils.out_of_memory import enough_for


@dataclass(frozen=True, kw_only=True)
class StageRunner:
    """choices: the option of each config group; facts: the job's provenance."""

    context: StageContext
    choices: Mapping[str, str]
    facts: Mapping[str, Any]
    cache: NoCache
    resume: NoResume

    def run(self, stage: Stage) -> float:
        """Run a stage on all ranks, or load it from the cache, and write its report; the seconds of this job.

        Raises UserError if the data change meanwhile, for a full disk and for too little memory.
        """
        context, files, events = self.context, self.context.files, self.context.events
        inputs = {name: files.get(name) for name in stage.reads}
        digests = dist.broadcast_object(
            {name: sha256(path) for name, path in inputs.items()} if dist.is_main() else None
        )
        key = stage_key(stage, context.config, digests, stage.depends(context), self.facts)
        events.event("stage_started", stage=stage.name, key=key[:12])
        started = time.perf_counter()
        output = None if stage.writes is None else files.path(stage.writes)
        with self.cache.claimed(key, events) as entry:
            cached = dist.broadcast_object(None if entry is None else load(entry, output, events))
            report = self._compute(stage, key, entry) if cached is None else cached
        seconds = time.perf_counter() - started
        files.made |= {stage.name, stage.writes}
        if dist.is_main():
            read = {name: {"path": str(path), "sha256": digests[name]} for name, path in inputs.items()}
            choices = {group: self.choices[group] for group in stage.groups if group in self.choices}
            files.write_report({**report, "key": key, "inputs": read, "choices": choices})
        dist.barrier()  # every rank reads the report
        peak = {"peak_memory_gib": report["peak_memory_bytes"] / 2**30} if cached is None else {}
        events.event("stage_finished", stage=stage.name, seconds=seconds, from_cache=cached is not None, **peak)
        return seconds

    def _compute(self, stage: Stage, key: str, entry: Entry | None) -> dict[str, Any]:
        """Run the stage, and keep its output, report and events in the cache's entry if there is one."""
        files, events = self.context.files, self.context.events
        recorder = EventRecorder(events)
        with self.resume.checkpointer(files.directory, stage.name, key, recorder, self._check_data) as checkpointer:
            report = self._report(stage, replace(self.context, events=recorder, checkpointer=checkpointer))
        if entry is not None:
            output = None if stage.writes is None else files.path(stage.writes)
            store(entry, output, report, recorder.events, events)
        return report

    def _report(self, stage: Stage, context: StageContext) -> dict[str, Any]:
        """Run the stage on data that are the same before and after; its report as the cache keeps it."""
        output = context.files.path(stage.writes or report_name(stage.name))
        self._check_data()
        with room_for(output), enough_for(stage.name, context.config, stage.when_out_of_memory):
            done = run_stage(stage, context)
        try:
            self._check_data()
        except UserError:
            if stage.writes is not None:
                output.unlink()  # made of unknown data
            raise
        return {
            "stage": stage.name,
            "seconds": done["seconds"],
            "resumed": context.checkpointer.times,
            "peak_memory_bytes": done["peak_memory_bytes"],
            "output": None if stage.writes is None else {stage.writes: sha256(output)},
            "config": {group: context.config[group] for group in stage.groups},
            "provenance": dict(self.facts),
            "result": done["result"],
        }

    def _check_data(self) -> None:
        """Raise UserError, on rank 0, if the data are no longer those of the digests."""
        if dist.is_main():
            self.context.dataset.check_unchanged()
