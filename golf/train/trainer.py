"""The training loop (spec: Training)."""

import math
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from golf.data.loader import Loader
from golf.data.prefetch import Prefetched
from golf.errors import UserError, require
from golf.evaluation.stream import Score
from golf.events import Listener
from golf.model.gpt import GPT
from golf.optim.optimizer import Optimizer
from golf.resume.checkpointer import NoCheckpointer
from golf.runtime import dist, gradients
from golf.runtime.clock import Clock, lr_scale
from golf.runtime.cuda_graph import CudaGraphed
from golf.runtime.device import autocast
from golf.runtime.finite import TRAINED_TOO_FAST
from golf.runtime.finite_check import FiniteCheck, NoFiniteCheck
from golf.train.ema import EMA
from golf.train.training_state import TrainingState
from golf.train.warmup import Pace, warm_up


@dataclass(frozen=True)
class Trained:
    """The result of training: the last weights, their average (None without EMA), and its cost."""

    raw: dict[str, Tensor]
    ema: dict[str, Tensor] | None
    steps: int
    tokens: int
    seconds: float


@dataclass(kw_only=True)
class Trainer:
    """Trains for `steps` optimizer steps, or for `budget_seconds` less `reserve_seconds` if that ends sooner.

    A step takes `batch_tokens` in `micro_batches` parts, which the ranks share. Depth recurrence is switched on
    at progress `recurrence_start`; the learning rate falls over the last `warmdown` of the progress. `ema` is the decay
    of the average or null. Curve points are emitted every `log_every` steps, validations every `validate_every` (null:
    never). Before the clock starts, `warmup_steps` steps in each layer order are taken and undone.
    """

    steps: int
    budget_seconds: float | None
    reserve_seconds: float
    batch_tokens: int
    micro_batches: int
    warmdown: float
    recurrence_start: float
    grad_clip: float
    ema: float | None
    log_every: int
    validate_every: int | None
    warmup_steps: int

    def check(self, seq_len: int) -> None:
        """Raise UserError for values that are out of range or cannot work together."""
        for name in ("steps", "batch_tokens", "micro_batches", "log_every"):
            value = getattr(self, name)
            require(value > 0, f"trainer.{name}={value} must be at least 1")
        require(
            self.validate_every is None or self.validate_every > 0,
            f"trainer.validate_every={self.validate_every} must be at least 1, or null for never",
        )
        for name in ("warmup_steps", "reserve_seconds", "recurrence_start"):  # above 1: no recurrence
            value = getattr(self, name)
            require(value >= 0, f"trainer.{name}={value} must not be negative")
        require(self.grad_clip > 0, f"trainer.grad_clip={self.grad_clip} must be above 0")
        require(0 <= self.warmdown <= 1, f"trainer.warmdown={self.warmdown} must be a share from 0 to 1")
        ranks = dist.world_size()
        if self.micro_batches % ranks:
            raise UserError(
                f"trainer.micro_batches={self.micro_batches} cannot be divided evenly among {ranks} processes; "
                f"set trainer.micro_batches={math.lcm(self.micro_batches, ranks)}"
            )
        unit = self.micro_batches * seq_len
        if self.batch_tokens % unit:
            raise UserError(
                f"trainer.batch_tokens={self.batch_tokens} must be a multiple of "
                f"trainer.micro_batches={self.micro_batches} times model.seq_len={seq_len}; "
                f"set trainer.batch_tokens={math.ceil(self.batch_tokens / unit) * unit}"
            )
        if self.ema is not None and not 0 <= self.ema < 1:
            raise UserError(f"trainer.ema={self.ema} must be a decay of at least 0 and below 1, or null")
        if self.budget_seconds is not None and self.budget_seconds <= self.reserve_seconds:
            raise UserError(
                f"trainer.budget_seconds={self.budget_seconds} leaves no time for training after "
                f"trainer.reserve_seconds={self.reserve_seconds}"
            )

    def train(
        self,
        model: GPT,
        optimizer: Optimizer,
        loader: Loader,
        validate: Callable[[GPT], Score],
        events: Listener,
        checkpointer: NoCheckpointer,
    ) -> Trained:
        """Train `model` in place; `validate` scores it. Afterwards the model has the last weights and is recurrent.

        Raises Diverged if a weight, a gradient or the loss is not finite.
        """
        parameters = list(optimizer.parameters())
        device = model.tok_emb.weight.device
        sequences = self.batch_tokens // self.micro_batches // model.seq_len

        def backward(model: GPT, ids: Tensor, targets: Tensor) -> Tensor:
            """Add a micro-batch's share to the gradients; returns its share of the loss."""
            with autocast(device):
                loss: Tensor = model(ids, targets) / self.micro_batches
            gradients.accumulate(loss, parameters)
            return loss.detach()

        micro_step = CudaGraphed(model, backward, device)
        check = NoFiniteCheck()

        def update(step: int, scale: float, batches: Prefetched) -> Tensor:
            """One step of all ranks; returns the mean loss."""
            loss = torch.zeros((), device=device)
            for _ in range(self.micro_batches // dist.world_size()):
                loss += micro_step(*batches.batch())
            dist.all_reduce_sum([*gradients.of(parameters), loss])
            check.look_at(step + 1, loss)
            nn.utils.clip_grad_norm_(parameters, self.grad_clip, foreach=True)
            optimizer.step(step, scale)
            optimizer.zero_grad()
            return loss

        optimizer.zero_grad()
        if self.warmup_steps:
            with closing(Prefetched(loader.copy(), sequences, device)) as spare:
                warm_up(model, optimizer, self.warmup_steps, lambda step: update(step, 1.0, spare))
            events.event("warmed_up", steps=2 * self.warmup_steps)
        check = FiniteCheck(model, "training step", TRAINED_TOO_FAST)
        budget = None if self.budget_seconds is None else self.budget_seconds - self.reserve_seconds
        pace = Pace(device)
        ema = None if self.ema is None else EMA(model, self.ema)
        model.recurrent = False
        with closing(Prefetched(loader, sequences, device)) as batches:
            state = TrainingState(model, optimizer, ema, batches)
            step = checkpointer.restore(state)
            clock = Clock(self.steps, budget, checkpointer.loop_seconds)

            def agreed() -> tuple[float, int]:
                """Rank 0's seconds and the largest request of all ranks, in one all-reduce."""
                seconds = clock.seconds() if dist.is_main() else 0.0
                seconds, request = dist.all_reduce_max(seconds, checkpointer.request())
                return seconds, int(request)

            progress = clock.progress(step, agreed()[0])
            while progress < 1:
                if not model.recurrent and progress >= self.recurrence_start:
                    model.recurrent = True
                    if model.looped_blocks:
                        events.event("recurrence_on", step=step, progress=progress)
                scale = lr_scale(progress, self.warmdown)
                loss = update(step, scale, batches)
                if ema is not None:
                    ema.update()
                pace.step()
                step += 1
                seconds, request = agreed()
                progress = clock.progress(step, seconds)
                if step == 1 or step % self.log_every == 0 or progress == 1:
                    self._log(step, loss.item(), scale, clock, progress, events)
                if self.validate_every and step % self.validate_every == 0 and progress < 1:
                    with clock.paused():
                        score = validate(model)
                    events.metrics("validate", step, val_loss=score.val_loss, val_bpb=score.val_bpb)
                last = progress == 1
                if request or last:  # the last one too: an interrupted later stage should not repeat the training
                    check.require_finite(step)
                    with clock.paused() if last else nullcontext():
                        checkpointer.save(state, step, request, clock.seconds)
            checkpointer.release()
        check.require_finite(step)
        model.recurrent = True
        return Trained(
            raw={name: tensor.detach().clone() for name, tensor in model.state_dict().items()},
            ema=None if ema is None else ema.state_dict(),
            steps=step,
            tokens=step * self.batch_tokens,
            seconds=clock.seconds(),
        )

    def _log(self, step: int, loss: float, scale: float, clock: Clock, progress: float, events: Listener) -> None:
        rate = step * self.batch_tokens / clock.seconds()
        events.metrics("train", step, loss=loss, lr_scale=scale, tokens_per_second=rate)
        events.progress("train", max(progress, step / self.steps), 1, loss=loss)  # whichever limit comes first
