"""Seconds of each stage of the smoke job, which is what a newcomer runs first."""

import time
from collections.abc import Iterator

from golf.bench import job
from golf.bench.row import Row, Skipped
from golf.bench.setting import Setting
from golf.run_files import read_results

JOB = ("experiment=smoke", "device=cpu")


def rows(setting: Setting) -> Iterator[Row]:
    directory = setting.directory / "stages"
    started = time.perf_counter()
    with job.running(directory, JOB) as process:
        code = process.wait()
    seconds = time.perf_counter() - started
    results = read_results(directory)
    if code or results is None:
        raise Skipped(f"the job failed: {job.last_words(directory)}")
    stages = results["stage_seconds"]
    total = sum(stages.values())
    for name, took in stages.items():
        what = f"of {' '.join(JOB)} (once)"
        yield Row(name=f"stages.{name}", what=what, unit="s", values=[took], details={"share": took / total})
    yield Row(name="stages", what="all of them", unit="s", values=[total], details={"with_start_up_seconds": seconds})
