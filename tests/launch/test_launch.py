"""Jobs of several processes: real workers, real gloo, the command line as a user types it."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest
from runs import FEW, composed, run

from golf.build import build
from golf.errors import Stopped, UserError
from golf.launch.elastic import WorkerError
from golf.launch.task import Task
from golf.resume.signals import INTERRUPTED
from golf.tracker import jsonl

pytestmark = pytest.mark.slow

GOLF = [sys.executable, "-m", "golf"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "golf"]
TOKENS, CHUNKS = FEW
TINY = ("experiment=tiny", "cache=off", TOKENS)
TWO = "launch.nproc_per_node=2"
RECORD_ORDER = ("data.order=record", "data.seed=null", "trainer.steps=2")
# Four parts, whose sum depends on who adds them up.
FOUR_PARTS = ("trainer.batch_tokens=1024", "trainer.micro_batches=4")
MINE = {
    "mine.py": """\
        import ctypes, time
        from golf.runtime import dist
        from golf.errors import Stopped, UserError
        from golf.ttt.strategy import NoTTT

        class Crashing(NoTTT):
            def adapt(self, model, ledger, events, checkpointer):
                if dist.rank() == 1:
                    ctypes.string_at(0)
                dist.barrier()

        class SlowToNotice(NoTTT):
            def check(self, model):
                if dist.rank() == 0:
                    raise UserError("ttt.mine=1 must be 2")
                time.sleep(60)

        class Failing(NoTTT):
            def adapt(self, model, ledger, events, checkpointer):
                if dist.rank() == 1:
                    raise ArithmeticError("one and one are three")
                dist.barrier()
        """,
    "ttt/crashing.yaml": "_target_: mine.Crashing\n",
    "ttt/failing.yaml": "_target_: mine.Failing\n",
    "ttt/slow.yaml": "_target_: mine.SlowToNotice\n",
}


def golf(cwd: Path, *arguments: str, command: list[str] = GOLF) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *arguments, *TINY], cwd=cwd, capture_output=True, text=True, timeout=200)


def directories(cwd: Path) -> list[Path]:
    return sorted(path for path in cwd.glob("multirun/*/*"))


def losses(directory: Path) -> list[float]:
    lines = jsonl.read(directory)
    return [line["loss"] for line in lines if line["kind"] == "metrics" and line["stage"] == "train"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A job of all stages on two processes, tracked by W&B: the directory that it was started in, and how it ended."""
    cwd = tmp_path_factory.mktemp("whole")
    settings = (*FOUR_PARTS, "trainer.steps=5", "quantizer.fit_bytes=true", "tracker=wandb", "tracker.mode=offline")
    done = golf(cwd, TWO, CHUNKS, *settings)
    assert done.returncode == 0, done.stderr
    return cwd, done


@pytest.fixture(scope="module")
def trained(whole) -> Path:
    (directory,) = directories(whole[0])
    return directory


@pytest.fixture(scope="module")
def under_torchrun(tmp_path_factory) -> tuple[Path, str]:
    """A job of all stages under torchrun, in the record's order: its directory and what it printed."""
    cwd = tmp_path_factory.mktemp("under_torchrun")
    done = golf(cwd, *RECORD_ORDER, CHUNKS, command=TORCHRUN)
    assert done.returncode == 0, done.stderr
    (directory,) = directories(cwd)
    return directory, done.stdout


@pytest.fixture
def own(tmp_path) -> Path:
    """A folder with classes and options of a user's own."""
    for name, text in MINE.items():
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_text(dedent(text))
    return tmp_path / "own"


# The same numbers for any number of ranks


def assert_trained_alike(directory: Path, other: Path, steps: int) -> None:
    one, two = losses(directory), losses(other)
    assert len(one) == steps
    assert two == pytest.approx(one, rel=1e-5)
    results = [json.loads((each / "results.json").read_text()) for each in (directory, other)]
    assert results[1]["prequant"]["val_loss"] == pytest.approx(results[0]["prequant"]["val_loss"], rel=1e-5)
    assert [each["provenance"]["ranks"] for each in results] == [1, 2]


def test_training_does_not_depend_on_the_number_of_ranks(trained, tmp_path):
    run(tmp_path, *FEW, "stages=[train]", *FOUR_PARTS, "trainer.steps=5")
    assert_trained_alike(tmp_path, trained, steps=5)


def test_longer_float32_training_does_not_depend_on_ranks(tmp_path):
    settings = ("stages=[train]", *FOUR_PARTS, "trainer.steps=30", "optimizer.ns_dtype=float32")
    run(tmp_path / "one", *FEW, *settings)
    done = golf(tmp_path, TWO, "hydra.run.dir=two", *settings)
    assert done.returncode == 0, done.stderr
    assert_trained_alike(tmp_path / "one", tmp_path / "two", steps=30)


def test_quantization_and_scores_do_not_depend_on_ranks(trained, tmp_path):
    one = run(tmp_path, *FEW, "stages=[quantize,evaluate]", f"input={trained}", "quantizer.fit_bytes=true")
    two = json.loads((trained / "results.json").read_text())
    for score in ("quantized", "sliding", "ttt"):
        assert two[score]["val_loss"] == pytest.approx(one[score]["val_loss"], rel=1e-5)
        assert two[score]["val_bpb"] == pytest.approx(one[score]["val_bpb"], rel=1e-5)
    assert two["artifact_bytes"] == pytest.approx(one["artifact_bytes"], rel=1e-3)


# One job, however many processes


def test_there_is_one_of_everything(whole):
    cwd, done = whole
    (directory,) = directories(cwd)
    assert len(list(directory.glob("wandb/offline-run-*"))) == 1
    names = [line["name"] for line in jsonl.read(directory) if line["kind"] == "event"]
    assert names.count("stage_started") == 4
    assert done.stdout.count("TTT") == 1
    assert done.stderr == ""
    assert [path.name for path in directory.rglob("*.log") if "wandb" not in path.parts] == ["job.log"]


def test_record_order_deals_shards(under_torchrun, tmp_path):
    run(tmp_path, *FEW, "stages=[train]", *RECORD_ORDER)
    assert losses(under_torchrun[0])[0] != pytest.approx(losses(tmp_path)[0], rel=1e-5)


def test_two_launchers_make_one_job(tmp_path):
    """As on two hosts; both are this one, and it does not matter which of them gets rank 0."""
    hosts = ["launch.nnodes=2", "launch.rdzv_id=job", "launch.rdzv_endpoint=localhost:29431", "stages=[train]"]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: golf(tmp_path, *hosts), range(2)))
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    (directory,) = directories(tmp_path)
    assert json.loads((directory / "results.json").read_text())["provenance"]["ranks"] == 2
    assert [bool(each.stdout) for each in done].count(True) == 1


# Failures


def test_a_mistake_found_by_one_rank_is_one_line(tmp_path):
    three = ("launch.nproc_per_node=3", "trainer.micro_batches=3", "trainer.batch_tokens=384")
    done = golf(tmp_path, *three, "data.order=record")
    assert re.fullmatch(r"golf: error: .*\n", done.stderr), done.stderr
    assert "of rank 2 (data.order=record deals 2 of them)" in done.stderr
    assert (done.returncode, done.stdout) == (2, "")
    assert directories(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["launch.nproc_per_node=0"], "launch.nproc_per_node=0 must be at least 1"),
        (
            ["launch.nnodes=2"],
            "launch.nnodes=2 launch.rdzv_backend=c10d: needs launch.rdzv_endpoint=HOST:PORT and launch",
        ),
        (["launch.rdzv_backend=static"], "launch.nnodes=1 launch.rdzv_backend=static: needs launch.rdzv_endpoint"),
        (["launch.rdzv_endpoint=foo"], "launch.rdzv_endpoint=foo must have the form HOST:PORT"),
        (["launch.rdzv_timeout=0"], "launch.rdzv_timeout=0 must be at least 1"),
        (["launch.node_rank=1"], "launch.node_rank=1 must lie between 0 and launch.nnodes=1 - 1"),
    ],
)
def test_a_mistake_that_is_seen_before_any_worker_begins(tmp_path, arguments, message):
    config = composed("experiment=tiny", TWO, *arguments)
    task = Task(config, str(tmp_path / "run"), choices={}, overridden=[], label="", sys_path=[], logging={})
    with pytest.raises(UserError, match=re.escape(message)):
        build(config["launch"]).run(task, fresh=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("crashing", r"golf: error: rank 1 died: Signal 11 \(SIGSEGV\) .*\n\nFatal Python[\s\S]*mine.py[\s\S]*"),
        (
            "failing",
            r"golf: error: rank 1 failed: ArithmeticError: one and one are three\n\nTraceback[\s\S]*mine.py[\s\S]*",
        ),
    ],
)
def test_a_worker_that_dies_ends_the_job_with_its_error(own, trained, tmp_path, strategy, message):
    done = golf(tmp_path, f"--config-dir={own}", f"ttt={strategy}", TWO, "stages=[evaluate]", f"input={trained}")
    assert done.returncode == 1
    assert re.fullmatch(message, done.stderr), done.stderr


def test_non_finite_numbers_are_one_line_with_their_exit_code(tmp_path):
    done = golf(
        tmp_path, TWO, "stages=[train]", "optimizer.embed_lr=1e38", "trainer.log_every=100", "hydra.run.dir=run"
    )
    message = (
        r"golf: error: training step \d: the weight \S+ before it is not finite, .*; lower the optimizer's rates\n"
    )
    assert re.fullmatch(message, done.stderr), done.stderr
    assert done.returncode == 3
    assert not (tmp_path / "run/checkpoint.pt").exists()


def test_the_launchers_own_victims_are_not_blamed(own, trained, tmp_path):
    done = golf(tmp_path, f"--config-dir={own}", "ttt=slow", TWO, "stages=[evaluate]", f"input={trained}")
    assert (done.returncode, done.stderr) == (2, "golf: error: ttt.mine=1 must be 2\n")


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        (signal.SIGINT, 130, f"\n{INTERRUPTED}\ngolf: error: stopped by SIGINT; golf resume {{}} goes on\n"),
        (signal.SIGTERM, 143, "golf: error: stopped by SIGTERM; golf resume {} goes on\n"),
        (signal.SIGUSR2, 140, "golf: error: stopped by SIGUSR2; golf resume {} goes on\n"),
    ],
)
def test_a_signal_ends_the_job_and_its_workers(tmp_path, number, code, message):
    command = [*GOLF, *TINY, TWO, "trainer.steps=100000", "hydra.run.dir=run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

    def heard() -> None:  # also where the tests run in the background, which ignores some
        signal.signal(number, signal.SIG_DFL)

    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True, preexec_fn=heard, **pipes) as job:
        assert any("step 1 " in line for line in job.stdout)
        os.killpg(job.pid, number)
        _, errors = job.communicate(timeout=100)
    assert (job.returncode, errors) == (code, message.format(tmp_path / "run"))
    with pytest.raises(ProcessLookupError):
        os.killpg(job.pid, 0)  # nobody is left of the group
    saved = list((tmp_path / "run").glob("resume/train/*/rank1.pt"))
    assert len(saved) == 1  # what goes on is there before the workers end


@pytest.mark.parametrize("command", [[*GOLF, TWO], TORCHRUN], ids=["golf", "torchrun"])
def test_a_rank_that_is_stopped_ends_the_job_by_its_name(tmp_path, command):
    command = [*command, *TINY, "launch.heartbeat_timeout=3", "trainer.steps=100000", "hydra.run.dir=run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as job:
        assert any("step 1 " in line for line in job.stdout)
        children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        (rank1,) = [child for child in children if b"\0RANK=1\0" in Path("/proc", child, "environ").read_bytes()]
        os.kill(int(rank1), signal.SIGSTOP)
        _, errors = job.communicate(timeout=100)
    message = "rank 1 did not answer for launch.heartbeat_timeout=3 seconds: stopped, or its host is gone"
    assert job.returncode == 1
    assert f"{message}\n" in errors if TORCHRUN[2] in command else errors == f"golf: error: {message}\n"


def test_a_signal_to_the_workers_alone_is_no_failure_of_theirs(tmp_path):
    """As from a scheduler that signals every process."""
    command = [*GOLF, TWO, "trainer.steps=100000", "experiment=tiny", "cache=off", "hydra.run.dir=run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as job:
        assert any("step 1 " in line for line in job.stdout)
        workers = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        for worker in workers:
            os.kill(int(worker), signal.SIGTERM)
        _, errors = job.communicate(timeout=100)
    assert len(workers) == 2
    assert job.returncode == 143
    assert errors.startswith("golf: error: stopped by SIGTERM; golf resume ")


def test_the_error_pickles():
    error = pickle.loads(pickle.dumps(WorkerError("rank 1 died")))
    assert (type(error), str(error)) == (WorkerError, "rank 1 died")
    stopped = pickle.loads(pickle.dumps(Stopped(signal.SIGINT)))
    assert (stopped.code, str(stopped)) == (130, "stopped by SIGINT")


# torchrun


def test_under_torchrun_rank_0_composes(under_torchrun):
    directory, printed = under_torchrun
    assert json.loads((directory / "results.json").read_text())["provenance"]["ranks"] == 2
    assert printed.count("TTT") == 1


MICRO = "trainer.micro_batches=1 cannot be divided evenly among 2 processes; set trainer.micro_batches=2\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "seed=1,2"], "a sweep (-m) cannot run under torchrun: use python -m golf -m launch.nproc_per_node=N"),
        ([TWO], "under torchrun its own options count"),
        (["trainer.micro_batches=1"], MICRO),
    ],
)
def test_under_torchrun_a_mistake_is_told_once(tmp_path, arguments, message):
    done = golf(tmp_path, *arguments, command=TORCHRUN)
    assert done.returncode != 0
    assert done.stderr.count(f"golf: error: {message}") == 1
    assert directories(tmp_path) == []


def test_help_under_torchrun_ends(tmp_path):
    done = golf(tmp_path, "--help", command=TORCHRUN)
    assert done.returncode == 0
    assert done.stdout.count("ttt: ") == 1
