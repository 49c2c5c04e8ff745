"""Seconds of each stage of the smoke job."""

import time
from collections.abc import Iterator

from golf.bench import job
from golf.bench.row import Row
from golf.bench.setting import Setting

JOB = ("experiment=smoke", "compute.device=cpu")


def rows(setting: Setting) -> Iterator[Row]:
    started = time.perf_counter()
    stages = job.results(setting.directory / "stages", JOB)["stage_seconds"]
    seconds = time.perf_counter() - started
    total = sum(stages.values())
    for name, took in stages.items():
        what = f"of {' '.join(JOB)} (once)"
        yield Row(name=f"stages.{name}", what=what, unit="s", values=[took], details={"share": took / total})
    yield Row(name="stages", what="all of them", unit="s", values=[total], details={"with_start_up_seconds": seconds})
