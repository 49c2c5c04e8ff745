"""Sweeps on the launchers of Hydra's plugins, of jobs of two processes each."""

import json
import os
from pathlib import Path
from textwrap import dedent

import pytest
from sweeps import TRAIN, statuses, sweep, table_of, write_optimizers

pytestmark = pytest.mark.slow

TWO = "launch.nproc_per_node=2"
LAUNCHERS = {
    "parallel": [],
    "local": [],
    # A cluster of this host, whose workers do not begin where the command was given.
    "ray_cluster": [
        "hydra.launcher.ray.init.address=local",
        "hydra.launcher.ray.init.object_store_memory=80000000",
        "+hydra.launcher.ray.init.runtime_env.working_dir=own",
        "hydra.launcher.ray.remote.num_cpus=1",
    ],
}
# SLURM's commands, as far as its client sees them: a queue of one host, which is all the nodes there are.
SLURM = {
    # Runs the script, once for each index of its array if there is one, and again while it is queued again.
    "sbatch": """\
        value() { sed -n "s/^#SBATCH --$1=//p" "$queue/script" | tr -d "'"; }
        export queue=$(dirname "$0")
        cp "$1" "$queue/script"
        export SLURM_JOB_ID=7 SLURM_JOB_NUM_NODES=$(value nodes)
        last=$(value array); last=${last#0-}; last=${last%%%*}
        { for index in $(seq 0 "${last:-0}"); do
            [ -n "$last" ] && export SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$index
            until bash "$queue/script"; ! rm "$queue/requeued"; do :; done
        done; touch "$queue/ended"; } > "$queue/log" 2>&1 < /dev/null &
        echo Submitted batch job 7
        """,
    # Runs a command once for each node.
    "srun": """\
        shift; files=("$2" "$4"); shift 4
        export SLURM_LAUNCH_NODE_IPADDR=127.0.0.1 SLURM_NTASKS=$SLURM_JOB_NUM_NODES SLURM_LOCALID=0
        for node in $(seq 0 $((SLURM_JOB_NUM_NODES - 1))); do
            named=("${files[@]//%[Aj]/7}")
            named=("${named[@]//%a/$SLURM_ARRAY_TASK_ID}")
            named=("${named[@]//%t/$node}")
            SLURM_NODEID=$node SLURM_PROCID=$node "$@" >> "${named[0]}" 2>> "${named[1]}" &
        done
        wait
        """,
    "scontrol": '[ "$1" = requeue ] && touch "$queue/requeued"',
    # What has ended and left no result has failed.
    "sacct": """\
        echo 'JobID|State'
        [ -e "$(dirname "$0")/ended" ] && printf '%s|FAILED\\n' 7 7_0 7_1
        exit 0
        """,
}


@pytest.fixture
def own(tmp_path) -> Path:
    write_optimizers(tmp_path / "own")
    return tmp_path


@pytest.fixture
def slurm(tmp_path_factory, monkeypatch) -> Path:
    """The directory of the queue; its commands are the first on the path."""
    queue = tmp_path_factory.mktemp("slurm")
    for name, script in SLURM.items():
        (queue / name).write_text(f"#!/bin/bash\n{dedent(script)}")
        (queue / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(queue), prepend=os.pathsep)
    return queue


def jobs(cwd: Path) -> list[Path]:
    """Their directories."""
    return [path.parent for path in cwd.glob("multirun/*/*/*/status.json")]


def ranks(cwd: Path) -> list[int]:
    """Of each job that left results."""
    results = [json.loads(path.read_text()) for path in cwd.glob("multirun/*/*/*/results.json")]
    return [result["provenance"]["ranks"] for result in results]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_failure_stops_no_other_job(own, launcher):
    environment = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    arguments = (TWO, f"hydra/launcher={launcher}", *LAUNCHERS[launcher])
    done = sweep(own, "optimizer=killed,adamw", *TRAIN, *arguments, **environment)
    assert done.returncode == 1, done.stderr
    found = statuses(own)
    assert {name: status["state"] for name, status in found.items()} == {"killed": "failed", "adamw": "done"}
    assert found["killed"]["error"].startswith("rank 1 died: Signal 9 (SIGKILL)")
    assert found["adamw"]["objectives"]["val_bpb"] > 0
    assert ranks(own) == [2]
    assert "optimizer=killed failed: rank 1 died: Signal 9 (SIGKILL)" in table_of(done)
    assert "golf: error: 1 of 2 jobs failed; golf resume " in done.stderr
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("optimizer=killed failed: rank 1 died")  # below the table
    started = [line.partition("  ")[0] for line in done.stdout.splitlines() if "  train            started" in line]
    assert sorted(started) == (sorted(path.name for path in jobs(own)) if launcher == "parallel" else [])
    assert list(own.rglob("*%*")) == []
    assert (own / "cache").is_dir()  # a relative path is relative to where the command was given


def test_slurm_runs_a_job_again_that_it_took_away(own, slurm):
    done = sweep(own, "optimizer=killed,preempted", *TRAIN, TWO, "hydra/launcher=slurm", "hydra.launcher.partition=gpu")
    assert done.returncode == 1, done.stderr
    found = statuses(own)
    assert {name: status["state"] for name, status in found.items()} == {"killed": "failed", "preempted": "done"}
    assert found["killed"]["error"].startswith("rank 1 died: Signal 9 (SIGKILL)")
    assert ranks(own) == [2]
    assert "1 of 2 jobs failed" in done.stderr
    (errors,) = own.glob("multirun/*/*/.submitit/7_1_*.err")
    assert list(own.rglob("*%*")) == []
    assert "this job is preempted" in errors.read_text()
    asked = {line.removeprefix("#SBATCH --") for line in (slurm / "script").read_text().splitlines()}
    assert {"gpus-per-node=2", "nodes=1", "ntasks-per-node=1", "partition=gpu", "requeue", "signal=USR2@120"} <= asked


def test_slurm_runs_one_job_on_two_nodes(own, slurm):
    done = sweep(own, *TRAIN, "launch=slurm", "launch.nnodes=2", "launch.rdzv_timeout=60", "hydra/launcher=slurm")
    assert done.returncode == 0, done.stderr
    assert ranks(own) == [2]
    assert "#SBATCH --nodes=2" in (slurm / "script").read_text()
    assert [status["state"] for status in statuses(own).values()] == ["done"]
