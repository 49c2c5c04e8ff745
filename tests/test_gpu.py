"""What only a GPU shows: attention backends, types, compilation, determinism, memory. `python -m pytest -m gpu`."""

import json
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import golden
import numpy as np
import pytest
import torch
from runs import composed, run

from golf.build import build
from golf.data.tokenizer import ByteTable
from golf.errors import Diverged, Stopped, UserError
from golf.evaluation.probe import ProbeAt
from golf.evaluation.reader import Reader
from golf.evaluation.score_all import score_all
from golf.evaluation.sliding import Sliding
from golf.evaluation.stream import Stream
from golf.events import Listener
from golf.kernels.attention import INSTALL, MODULES, load_attention
from golf.kernels.backend import kernels_module
from golf.kernels.compute import choose_kernels
from golf.optim.muon_adamw import MuonAdamW
from golf.quantizer.gptq import gptq_codes
from golf.quantizer.quantizer import row_scales
from golf.runtime.cuda_graph import CudaGraphed
from golf.runtime.device import autocast
from golf.runtime.finite_check import FiniteCheck
from golf.tracker import jsonl
from golf.ttt.score_first import ScoreFirst

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
CUDA = torch.device("cuda", 0)


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Relative to the expected norm."""
    return ((found.double() - expected.double()).norm() / expected.double().norm()).item()


# Attention


def heads(dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator(CUDA).manual_seed(0)
    shapes = [(2, 512, n, 64) for n in (8, 4, 4, 8)]
    parts = [torch.randn(shape, generator=generator, device=CUDA).bfloat16() for shape in shapes]
    return [part.to(dtype).requires_grad_() for part in parts]


@cache
def reference() -> list[torch.Tensor]:
    """Output and gradients of q, k and v, in float32, written out."""
    q, k, v, weight = heads(torch.float32)
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k.repeat_interleave(2, 2)) / 8
    scores = scores.masked_fill(torch.ones(512, 512, device=CUDA).triu(1).bool(), -torch.inf)
    y = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v.repeat_interleave(2, 2))
    return [y, *torch.autograd.grad((y * weight).sum(), (q, k, v))]


@pytest.mark.parametrize("name", ["sdpa", *INSTALL])
def test_attention_agrees_with_float32(name):
    try:
        attend = load_attention(name, CUDA)
    except UserError as missing:
        pytest.skip(str(missing))
    q, k, v, weight = heads(torch.bfloat16)
    y = attend(q, k, v)
    found = [y, *torch.autograd.grad((y * weight).sum(), (q, k, v))]
    assert [error(f, r) for f, r in zip(found, reference(), strict=True)] == pytest.approx([0] * 4, abs=1e-2)
    if attend.per_query_head:
        k, v = (t.detach().unsqueeze(3).expand(-1, -1, -1, 2, -1).requires_grad_() for t in (k, v))
        y = attend(q, k, v)
        dq, *grads = torch.autograd.grad((y * weight).sum(), (q, k, v))
        found = [y, dq, *(grad.sum(3) for grad in grads)]
        assert [error(f, r) for f, r in zip(found, reference(), strict=True)] == pytest.approx([0] * 4, abs=1e-2)


@pytest.mark.parametrize(
    "name", [name for name, module in MODULES.items() if find_spec(module.partition(".")[0]) is None]
)
def test_what_is_missing_says_how_to_install_it(name):
    with pytest.raises(UserError, match=f"compute.attention={name} is not installed .*{re.escape(INSTALL[name])}"):
        load_attention(name, CUDA)


# The model


def test_float32_logits_are_golden():
    numbers = golden.load("forward")
    model = golden.model().to(CUDA)
    logits = model.logits(model.hidden(torch.from_numpy(numbers["input_ids"]).to(CUDA)))
    torch.testing.assert_close(logits.cpu(), torch.from_numpy(numbers["logits_loop"]), rtol=0, atol=1e-4)


def test_autocast_rounds_and_no_more():
    numbers = golden.load("forward")
    model = golden.model().to(CUDA)
    with autocast(CUDA):
        hidden = model.hidden(torch.from_numpy(numbers["input_ids"]).to(CUDA))
        logits = model.logits(hidden)
    assert hidden.dtype == torch.bfloat16  # norms leave the type alone on every version of PyTorch
    assert logits.dtype == torch.float32
    assert 1e-4 < error(logits.cpu(), torch.from_numpy(numbers["logits_loop"])) < 3e-2


def test_scores_in_float32_are_those_of_the_cpu(monkeypatch):
    monkeypatch.setattr("golf.evaluation.reader.autocast", lambda device: torch.autocast(device.type, enabled=False))
    numbers = golden.load("evaluate")
    table = ByteTable(numbers["base_bytes"], numbers["has_leading_space"], numbers["is_boundary"])
    sliding = Sliding(stride=golden.CONFIG["eval_stride"], batch_tokens=256, logits_dtype="float32", probes=8)
    stream = Stream.of(numbers["tokens"], table, CUDA)
    score = score_all(sliding.sliding(stream, 32, ProbeAt), golden.model().to(CUDA), "", Listener())
    assert score.val_loss == pytest.approx(numbers["sliding_loss"].item(), rel=2e-5)


def test_codes_are_those_of_the_cpu():
    numbers = {name: torch.from_numpy(value) for name, value in golden.load("gptq").items()}
    weight, hessian = numbers["W"], numbers["H"]
    scale = row_scales(weight, 6, 12.85).float()
    on_gpu = [tensor.to(CUDA) for tensor in (weight, hessian, scale)]
    kernels = import_module(kernels_module(choose_kernels("auto", CUDA)))
    codes = gptq_codes(*on_gpu, 6, block_size=128, damping=0.01, kernels=kernels)[0].cpu()
    difference = (codes - numbers["Q_int6"]).abs()
    assert difference.max() <= 1
    assert (difference == 0).float().mean() >= 0.999


# Runs


def losses(directory) -> list[float]:
    return [line["loss"] for line in jsonl.read_metrics(directory) if line["stage"] == "train"]


# Few layers: compiling takes longer than all the rest.
SHALLOW = ["model.num_layers=2", "model.xsa_last_n=2", "model.loop_start=0", "model.loop_end=0"]
SHALLOW += ["model.parallel_start_layer=1", "stages=[train]", "compute.deterministic=true"]


@pytest.mark.parametrize("compiled", ["true", "false"])
def test_deterministic_runs_agree_to_the_last_digit(tmp_path, compiled):
    settings = [*SHALLOW, "trainer.steps=20", f"compute.compile={compiled}", "trainer.batch_tokens=16384"]
    for name in ("one", "two"):
        run(tmp_path / name, *settings)
    assert len(losses(tmp_path / "one")) == 20
    assert losses(tmp_path / "one") == losses(tmp_path / "two")
    assert not torch.are_deterministic_algorithms_enabled()  # it is the training's own


def test_a_warm_up_with_compilation_is_undone_exactly(tmp_path):
    settings = [*SHALLOW, "trainer.steps=10", "compute.compile=true"]
    run(tmp_path / "cold", *settings)
    run(tmp_path / "warm", *settings, "trainer.warmup_steps=3")
    assert losses(tmp_path / "warm") == losses(tmp_path / "cold")


def test_the_whole_pipeline(tmp_path):
    results = run(tmp_path)
    assert results["provenance"]["attention"] in {"sdpa", "fa3"}
    assert results["provenance"]["device"]["type"] == "cuda"
    on_cpu = run(tmp_path / "cpu", "compute.device=cpu", "stages=[evaluate]", f"input={tmp_path}")
    for score in ("quantized", "sliding", "ttt"):
        assert results[score]["val_loss"] == pytest.approx(on_cpu[score]["val_loss"], rel=5e-3)


def test_the_records_micro_batch_fits_into_40_gib():
    config = composed("experiment=record")
    backend = build(config["compute"]).open()
    device = backend.device
    model = build(config["model"], backend).to(device)
    model.compile(dynamic=False)
    torch.cuda.reset_peak_memory_stats(device)
    ids = torch.randint(8192, (48, 2049), device=device)
    for recurrent in (False, True):
        model.recurrent = recurrent
        with autocast(device):
            loss = model(ids[:, :-1], ids[:, 1:])
        loss.backward()
    assert torch.cuda.max_memory_allocated(device) < 40 * 2**30


# Captured CUDA graphs


@pytest.mark.parametrize("stage", ["train", "ttt"])
def test_captured_graphs_compute_the_same_as_calls(tmp_path, monkeypatch, stage):
    """Training and test-time training, captured as CUDA graphs and not; with kernels that give the same every time."""
    curves = []
    for wanted in (True, False):
        with monkeypatch.context() as patch:
            if not wanted:
                patch.setattr(
                    "golf.runtime.cuda_graph.CudaGraphed.__call__",
                    lambda self, *inputs: self.function(self.model, *inputs),
                )
            directory = tmp_path / str(wanted)
            run(directory, "compute.kernels=triton", "trainer.steps=8", "compute.deterministic=true")
        lines = [line for line in jsonl.read(directory) if line["kind"] == "metrics" and line["stage"] == stage]
        curves.append([line["loss" if stage == "train" else "val_loss"] for line in lines])
    assert len(curves[0]) > 1
    assert curves[0] == pytest.approx(curves[1], rel=1e-6 if stage == "train" else 1e-4)


@pytest.mark.parametrize("kernels", ["triton", "quack"])
def test_kernels_train_as_the_plain_ones_do(tmp_path, kernels):
    try:
        choose_kernels(kernels, CUDA)
    except UserError as missing:
        pytest.skip(str(missing))
    curves = []
    for name in ("plain", kernels):
        run(tmp_path / name, f"compute.kernels={name}", "trainer.steps=30", "stages=[train]")
        curves.append(losses(tmp_path / name))
    assert curves[1] == pytest.approx(curves[0], rel=1e-2)


def test_a_model_that_moved_is_recorded_anew():
    config = composed("experiment=tiny", "compute.kernels=triton")
    backend = build(config["compute"]).open()
    device = backend.device
    model = build(config["model"], backend).to(device)
    ids = torch.randint(320, (2, 128), device=device)

    def logits(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), autocast(device):
            return model.hidden(ids)

    replayed = CudaGraphed(model, logits, device)
    for _ in range(3):
        before = replayed(ids).clone()
    model.load_state_dict({name: 2 * tensor for name, tensor in model.state_dict().items()}, assign=True)
    assert not torch.equal(replayed(ids), before)
    torch.testing.assert_close(replayed(ids), logits(model, ids))


# Cut off


def test_other_threads_do_not_disturb_a_capture():
    done = threading.Event()

    def pin() -> None:
        kept = []  # so that the driver is asked each time
        while not done.is_set():
            kept.append(torch.empty(1024).pin_memory())

    config = composed("experiment=tiny", "compute.kernels=triton")
    model = build(config["model"], build(config["compute"]).open()).to(CUDA)
    ids = torch.randint(320, (4, model.seq_len), device=CUDA)
    with ThreadPoolExecutor(1) as pool:
        pinning = pool.submit(pin)
        try:
            for recurrent in (False, True) * 5:
                model.recurrent = recurrent
                captured = CudaGraphed(model, lambda model, ids: model(ids, ids), CUDA)
                with autocast(CUDA):
                    losses = [captured(ids).item() for _ in range(3)]
                assert losses == pytest.approx([losses[0]] * 3)
        finally:
            done.set()
            pinning.result()


def test_a_training_that_was_stopped_goes_on_to_the_same(tmp_path, monkeypatch):
    settings = ["compute.kernels=triton", "compute.deterministic=true", "trainer.steps=8", "stages=[train]"]
    run(tmp_path / "whole", *settings)
    with monkeypatch.context() as patch:
        whole = MuonAdamW.step

        def cut(self: MuonAdamW, step: int, lr_scale: float) -> None:
            whole(self, step, lr_scale)
            if step == 4 and lr_scale < 1:  # not in the warm-up
                signal.raise_signal(signal.SIGTERM)

        patch.setattr(MuonAdamW, "step", cut)
        with pytest.raises(Stopped):
            run(tmp_path / "cut", *settings)
    run(tmp_path / "cut", *settings)
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert json.loads((tmp_path / "cut" / "train.json").read_text())["resumed"] == 1


# The host runs ahead


@contextmanager
def no_waiting() -> Iterator[None]:
    """Raise where PyTorch makes the host wait for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_wait_is_found():
    with no_waiting(), pytest.raises(RuntimeError, match="synchroniz"):
        torch.ones((), device=CUDA).item()


@pytest.mark.parametrize("kernels", ["plain", "triton"])
def test_no_training_step_waits_for_the_gpu(tmp_path, monkeypatch, kernels):
    step, strict, steps = MuonAdamW.step, ExitStack(), []

    def watched(self: MuonAdamW, number: int, lr_scale: float) -> None:
        if number == 4:  # the first ones capture what the others replay
            strict.enter_context(no_waiting())
        if number == 8:
            strict.close()
        step(self, number, lr_scale)
        steps.append(number)

    monkeypatch.setattr(MuonAdamW, "step", watched)
    always = ("trainer.steps=10", "trainer.log_every=100", "trainer.recurrence_start=0", "compute.compile=false")
    with strict:
        run(tmp_path, *always, f"compute.kernels={kernels}", "stages=[train]", "cache=off")
    assert steps == list(range(10))


def test_no_training_on_a_chunk_waits_for_the_gpu(tmp_path, monkeypatch):
    train, trained = ScoreFirst._train, []

    def watched(self: ScoreFirst, *arguments: Any) -> None:
        with no_waiting() if trained else nullcontext():  # the first chunk captures what the others replay
            train(self, *arguments)
        trained.append(arguments[-2])

    monkeypatch.setattr(ScoreFirst, "_train", watched)
    run(tmp_path, "cache=off", "data.val_tokens=2049", "ttt.chunk_tokens=512")
    assert trained == [0, 1, 2]


def test_no_window_waits_for_the_gpu():
    config = composed("experiment=tiny", "evaluation.batch_tokens=512", "compute.kernels=triton")
    model = build(config["model"], build(config["compute"]).open()).to(CUDA)
    table = ByteTable(np.ones(320, np.int16), np.zeros(320, bool), np.zeros(320, bool))
    stream = Stream.of(np.random.default_rng(0).integers(320, size=2049), table, CUDA)
    sliding = build(config["evaluation"])
    windows = sliding.windows(stream.num_targets, model.seq_len)
    reader = Reader(sliding.batch_tokens, torch.float32)
    once = list(reader.losses(model, stream, windows))  # captures
    with no_waiting():
        again = list(reader.losses(model, stream, windows))
    assert len(once) > 2
    torch.testing.assert_close(torch.cat(again), torch.cat(once))


# Numbers that are not finite


def test_what_a_gpu_computed_is_looked_at_in_the_next_step():
    layer = torch.nn.Linear(4, 4, device=CUDA)
    watch = FiniteCheck(layer, "step", "lower the rates")
    layer.weight.grad, layer.bias.grad = torch.ones_like(layer.weight), torch.full_like(layer.bias, torch.nan)
    watch.look_at(1, torch.tensor(2.5, device=CUDA))
    layer.bias.grad.zero_()
    with pytest.raises(Diverged, match=r"^step 1: the gradient of bias is not finite, the loss is 2\.5; lower"):
        watch.look_at(2, torch.tensor(2.5, device=CUDA))
    watch.look_at(3, torch.tensor(torch.inf, device=CUDA))
    with pytest.raises(Diverged, match=r"^step 3: the loss is inf"):
        watch.require_finite(3)
    watch.require_finite(3)
