"""Training that was cut off, wherever it was, ends as if it had not been."""

import os
import signal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from cutting import Calls, Cut
from hypothesis import example, given, settings
from hypothesis import strategies as st
from runs import composed

from golf.build import build
from golf.cache.entries import Entry
from golf.data.loader import Loader
from golf.errors import Stopped, UserError
from golf.evaluation.stream import Score
from golf.events import Listener
from golf.io.event_file import EventRecorder
from golf.model.gpt import GPT
from golf.resume import snapshots
from golf.resume.resume import Resume
from golf.train.trainer import Trained
from golf.train.training_state import TrainingState
from golf.utils.atomic import UNFINISHED

SEQ_LEN = 16
USUAL = {
    "steps": 8,
    "batch_tokens": 64,
    "micro_batches": 2,
    "warmdown": 0.5,
    "recurrence_start": 0.4,
    "grad_clip": 1.0,
    "ema": 0.5,
    "log_every": 1,
    "validate_every": 3,
    "warmup_steps": 1,
}


@cache
def config(optimizer: str) -> dict:
    return composed("experiment=tiny", f"optimizer={optimizer}")


class Heard(Listener):
    def __init__(self) -> None:
        self.events: list[tuple[str, dict]] = []
        self.steps: list[int] = []

    def event(self, name: str, **fields: Any) -> None:
        self.events.append((name, fields))

    def metrics(self, stage: str, step: int, **values: float) -> None:
        self.steps.append(step)

    def names(self) -> list[str]:
        return [name for name, _ in self.events]


class Training:
    """One process's part of a training in `directory`."""

    def __init__(
        self, directory: Path, every_seconds: float = 0.0, key: str = "key", optimizer: str = "muon", **changes
    ):
        self.heard = Heard()
        self.recorder = EventRecorder(self.heard)
        resume = Resume(every_seconds=every_seconds)
        self.checkpointer = resume.checkpointer(directory, "train", key, self.recorder, lambda: None)
        self.trainer = build(config(optimizer)["trainer"] | USUAL | changes)
        shape = {"vocab_size": 64, "seq_len": SEQ_LEN, "num_layers": 2, "model_dim": 16, "embedding_dim": 16}
        torch.manual_seed(0)
        self.model = build(
            config(optimizer)["model"]
            | {**shape, "loop_start": 0, "loop_end": 1, "parallel_start_layer": 1, "xsa_last_n": 2}
        )
        self.optimizer = build(config(optimizer)["optimizer"], self.model)
        self.step_hook = lambda step: None
        step_of = self.optimizer.step

        def step(step: int, lr_scale: float) -> None:
            step_of(step, lr_scale)
            self.step_hook(step)

        self.optimizer.step = step
        tokens = [np.random.default_rng(i).integers(64, size=100 + 30 * i).astype(np.uint16) for i in range(2)]
        self.loader = Loader(tokens, SEQ_LEN, seed=0, order="global")  # of 13 sequences: cut anew on the way

    def run(self) -> "Training":
        with self.checkpointer as checkpointer:
            self.trained: Trained = self.trainer.train(
                self.model, self.optimizer, self.loader, self.validate, self.recorder, checkpointer
            )
        return self

    def validate(self, model: GPT) -> Score:
        torch.rand(1)  # whoever draws at random goes on where it was
        return Score(val_loss=torch.rand(1).item(), val_bpb=0.0)

    def said(self) -> list:
        """All but what a clock says."""
        kept = []
        for kind, name, step, values in self.recorder.events:
            kept.append([kind, name, step, {k: v for k, v in values.items() if k != "tokens_per_second"}])
        return kept


def assert_same(one: Training, other: Training) -> None:
    for found, expected in ((one.trained.raw, other.trained.raw), (one.trained.ema, other.trained.ema)):
        if expected is None:
            assert found is None
            continue
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert one.said() == other.said()
    assert (one.trained.steps, one.trained.tokens) == (other.trained.steps, other.trained.tokens)


@cache
def uninterrupted(optimizer: str, ema: float | None) -> tuple[Training, int]:
    """And how many calls it makes."""
    with TemporaryDirectory() as directory:
        training, calls = Training(Path(directory), optimizer=optimizer, ema=ema), Calls()
        with calls.counted():
            training.run()
    return training, calls.made


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the end of a generator that is no more
@settings(max_examples=15, deadline=None)
@example(shares=[0.5, 0.96875], optimizer="adamw", ema=None, every_seconds=0.0)  # as the last one but one is removed
@given(
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=4),
    optimizer=st.sampled_from(["muon", "adamw"]),
    ema=st.sampled_from([None, 0.5]),
    every_seconds=st.sampled_from([0.0, 0.0, 0.01, 1e9]),
)
def test_cut_off_at_any_call(shares, optimizer, ema, every_seconds):
    whole, calls = uninterrupted(optimizer, ema)
    with TemporaryDirectory() as folder:

        def begun() -> Training:
            return Training(Path(folder), every_seconds, optimizer=optimizer, ema=ema)

        for share in shares:
            cut = Calls(at=1 + int(share * calls))
            try:
                with cut.counted():
                    begun().run()
            except Cut:
                pass
        last = begun().run()
        assert_same(last, whole)
        assert all(path.name.isdigit() for path in (Path(folder) / "resume" / "train").iterdir())
        Resume(every_seconds=every_seconds).forget(Path(folder))
        assert not (Path(folder) / "resume").exists()


def test_no_step_is_taken_twice(tmp_path):
    """With a snapshot after every step."""
    steps = []

    def end(step: int) -> None:
        steps.append(step)
        if len(steps) in (4, 7):  # the two of the warm-up, and 0 and 1; then the two again, and 1
            raise Cut

    for _ in range(2):
        training = Training(tmp_path)
        training.step_hook = end
        with pytest.raises(Cut):
            training.run()
    training = Training(tmp_path)
    training.step_hook = steps.append
    training.run()
    assert steps == [0, 0, 0, 1, 0, 0, 1, 0, 0, *range(1, 8)]
    assert training.checkpointer.times == 1  # the second process had no part in the result


# Signals


def stop_at(training: Training, number: int, step: int) -> None:
    def hook(at: int) -> None:
        if at == step:
            os.kill(os.getpid(), number)

    training.step_hook = hook


@pytest.fixture
def handler(request):
    """Handles the two signals during the test as the parameter says; yields what it heard."""
    heard, before = [], {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}

    def handle(number: int, frame: Any) -> None:
        heard.append(number)
        if request.param == "leaves":
            raise SystemExit(144)

    for number in before:
        signal.signal(number, request.param if isinstance(request.param, signal.Handlers) else handle)
    yield heard
    for number, old in before.items():
        signal.signal(number, old)


@pytest.mark.parametrize("handler", [signal.SIG_DFL], indirect=True)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR2, 140)])
@pytest.mark.parametrize("step", [0, 4, 7])
def test_a_signal_waits_for_the_step_and_its_snapshot(tmp_path, handler, number, code, step):
    training = Training(tmp_path, every_seconds=1e9, warmup_steps=0)
    stop_at(training, number, step)
    with pytest.raises(Stopped) as stopped:
        training.run()
    assert stopped.value.code == code
    assert training.heard.names()[-1] == "saved"
    assert training.heard.events[-1][1]["done"] == step + 1
    assert signal.getsignal(number) is signal.SIG_DFL
    resumed = Training(tmp_path, every_seconds=1e9, warmup_steps=0).run()
    assert_same(resumed, Training(tmp_path / "whole", warmup_steps=0).run())
    assert resumed.checkpointer.times == 1


@pytest.mark.parametrize("handler", ["leaves", "stays"], indirect=True)
def test_who_handled_it_before_handles_it_then(tmp_path, handler, request):
    training = Training(tmp_path, every_seconds=1e9, warmup_steps=0)
    mine = signal.getsignal(signal.SIGUSR2)
    stop_at(training, signal.SIGUSR2, 3)
    if "leaves" in request.node.name:
        with pytest.raises(SystemExit) as end:
            training.run()
        assert (type(end.value), end.value.code) == (SystemExit, 144)
        assert training.heard.events[-1][1]["done"] == 4
    else:
        assert_same(training.run(), Training(tmp_path / "whole", warmup_steps=0).run())
        assert [fields["done"] for name, fields in training.heard.events if name == "saved"] == [4, 8]
    assert handler == [signal.SIGUSR2]
    assert signal.getsignal(signal.SIGUSR2) is mine


@pytest.mark.parametrize("handler", [signal.SIG_IGN], indirect=True)
def test_what_is_ignored_stays_ignored(tmp_path, handler):
    training = Training(tmp_path, every_seconds=1e9)
    stop_at(training, signal.SIGTERM, 3)
    training.run()
    assert training.heard.names().count("saved") == 1


@pytest.mark.parametrize("handler", ["stays"], indirect=True)
def test_an_error_says_more_than_a_signal_that_waits(tmp_path, handler):
    training = Training(tmp_path, warmup_steps=0)

    def hook(step: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise ArithmeticError

    training.step_hook = hook
    with pytest.raises(ArithmeticError):
        training.run()
    assert handler == []


# The clock


@pytest.fixture
def time(monkeypatch) -> SimpleNamespace:
    """The clock's source of time, moved by hand."""
    time = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("golf.runtime.clock.time", SimpleNamespace(perf_counter=lambda: time.now))
    return time


def test_budget_counts_all_processes_and_saving(tmp_path, time, monkeypatch):
    """Ten seconds, one for each step and one for each snapshot."""
    write = snapshots._write

    def slowly(path: Path, content: Any) -> None:
        time.now += path.name == snapshots.SHARED
        write(path, content)

    monkeypatch.setattr(snapshots, "_write", slowly)

    def begun() -> Training:
        training = Training(
            tmp_path, every_seconds=1e9, steps=99, budget_seconds=10.0, warmup_steps=0, validate_every=None
        )
        training.step_hook = lambda step: setattr(time, "now", time.now + 1)
        return training

    first = begun()

    def hook(step: int) -> None:
        time.now += 1
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    first.step_hook = hook
    with pytest.raises(Stopped):
        first.run()
    time.now += 1000
    second = begun().run()
    assert second.trained.steps == 9
    assert second.trained.seconds == 10.0
    scales = {step: values["lr_scale"] for kind, _, step, values in second.recorder.events if kind == "metrics"}
    assert scales[6] == pytest.approx((1 - 6 / 10) / 0.5)


# What is not taken up


def test_of_another_key(tmp_path):
    whole = Training(tmp_path, key="one").run()
    other = Training(tmp_path, key="two").run()
    assert other.heard.names()[:3] == ["warmed_up", "snapshot_ignored", "saved"]
    assert other.heard.events[1][1]["because"] == "other code, configuration, data or processes made it"
    assert_same(other, whole)
    assert other.checkpointer.times == 0
    assert Training(tmp_path, key="two").run().checkpointer.times == 1


def test_a_damaged_one_gives_way_to_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(Entry, "remove", lambda _: None)  # the processes were killed before that
    whole = Training(tmp_path).run()
    folder = tmp_path / "resume" / "train"
    assert len(list(folder.iterdir())) == 8
    for number, damage in ((8, lambda path: path.write_bytes(path.read_bytes()[:-1])), (7, Path.unlink)):
        damage(folder / f"{number:08d}" / "shared.pt")
    (folder / f".00000009{UNFINISHED}").mkdir()  # half of one
    again = Training(tmp_path).run()
    assert_same(again, whole)
    ignored = [fields["snapshot"][-1] for name, fields in again.heard.events if name == "snapshot_ignored"]
    assert ignored == ["8", "7"]
    assert ("resumed", {"stage": "train", "done": 6, "times": 1}) in again.heard.events


def test_what_is_no_snapshot_stays(tmp_path):
    """A directory for a run may hold a folder called resume: a curriculum vitae, for one."""
    letters = [
        tmp_path / "resume" / name for name in ("letter", "work/letter", "train/letter", "train/00000099/letter")
    ]
    for letter in letters:
        letter.parent.mkdir(parents=True, exist_ok=True)
        letter.write_text("dear")
    Training(tmp_path).run()
    (tmp_path / "resume" / "train" / f".00000009{UNFINISHED}").mkdir()
    assert (tmp_path / "resume" / "train" / "00000008").is_dir()
    Resume(every_seconds=0.0).forget(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if not path.is_dir()) == sorted(letters)
    assert sorted(os.listdir(tmp_path / "resume" / "train")) == ["00000099", "letter"]
    alone = tmp_path / "alone"
    Training(alone).run()
    Resume(every_seconds=0.0).forget(alone)
    assert list(alone.iterdir()) == []


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_one_is_read_without_executing_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "state_dict", lambda self: {"model": Malicious()})
        Training(tmp_path).run()
    with pytest.raises(UserError, match=r"shared\.pt: cannot be read"):
        Training(tmp_path).run()
    assert not (tmp_path / "executed").exists()


def test_failing_to_write_a_snapshot_warns_and_ends_nothing(tmp_path):
    (tmp_path / "resume").write_text("a file where the folder should be")
    training = Training(tmp_path).run()
    assert training.heard.names().count("not_saved") == 8
    assert_same(training, Training(tmp_path / "whole").run())


def test_what_was_said_is_said_again(tmp_path):
    training = Training(tmp_path)
    stop_at(training, signal.SIGTERM, 5)
    with pytest.raises(Stopped):
        training.run()
    resumed = Training(tmp_path).run()
    assert resumed.heard.names().count("warmed_up") == 1
    assert resumed.heard.names().count("recurrence_on") == 1
    assert resumed.heard.steps == [step for _, _, step, _ in resumed.recorder.events if step is not None]
    assert resumed.said() == Training(tmp_path / "whole").run().said()
