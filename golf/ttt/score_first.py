"""Score-first test-time training: score a chunk, then train on it (spec: Evaluation)."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from golf.errors import require
from golf.evaluation.ledger import Ledger
from golf.events import Listener
from golf.model.gpt import GPT
from golf.resume.checkpointer import NoCheckpointer
from golf.runtime import dist, gradients
from golf.runtime.cuda_graph import CudaGraphed
from golf.runtime.device import autocast
from golf.runtime.finite_check import FiniteCheck
from golf.ttt.adaptation_state import AdaptationState
from golf.ttt.hash_embed import HashEmbedding
from golf.ttt.strategy import Strategy


@dataclass(kw_only=True)
class ScoreFirst(Strategy):
    """SGD on each chunk of `chunk_tokens` after its targets are scored; the rate follows a cosine over the chunks.

    `parameters`: all (except the first `freeze_blocks` blocks), or only the recurrent blocks. `hash_embed` adds a table
    of `hash_buckets` rows that learns at `hash_lr_scale` times the rate.
    """

    chunk_tokens: int
    epochs: int
    lr: float
    momentum: float
    batch_seqs: int
    grad_clip: float
    parameters: Literal["all", "recurrent"]
    freeze_blocks: int
    hash_embed: bool
    hash_buckets: int
    hash_lr_scale: float

    def check(self, model: GPT) -> None:
        for name, least in (("epochs", 0), ("freeze_blocks", 0), ("batch_seqs", 1), ("hash_buckets", 1)):
            value = getattr(self, name)
            require(value >= least, f"ttt.{name}={value} must be at least {least}")
        for name in ("lr", "momentum", "hash_lr_scale"):
            value = getattr(self, name)
            require(value >= 0, f"ttt.{name}={value} must not be negative")
        require(self.momentum < 1, f"ttt.momentum={self.momentum} must be below 1")
        require(self.grad_clip > 0, f"ttt.grad_clip={self.grad_clip} must be above 0")
        blocks = len(model.blocks)
        require(self.freeze_blocks <= blocks, f"ttt.freeze_blocks={self.freeze_blocks}: the model has {blocks} blocks")
        long_enough = self.chunk_tokens >= model.seq_len
        require(long_enough, f"ttt.chunk_tokens={self.chunk_tokens} is below model.seq_len={model.seq_len}")
        trainable = self.parameters == "all" or len(model.looped_blocks) > 0
        require(trainable, "ttt.parameters=recurrent needs a model with recurrence (model.num_loops above 0)")
        require(
            self.parameters == "all" or self.freeze_blocks == 0,
            f"ttt.freeze_blocks={self.freeze_blocks} has no meaning with ttt.parameters=recurrent, which trains only "
            "the recurrent blocks; set it to 0",
        )

    def adapt(self, model: GPT, ledger: Ledger, events: Listener, checkpointer: NoCheckpointer) -> None:
        if self.hash_embed:
            table = HashEmbedding(self.hash_buckets, model.tok_emb.embedding_dim)
            model.extra_embedding = table.to(ledger.device)
        sgd = torch.optim.SGD(self._trained(model), lr=self.lr, momentum=self.momentum, fused=True)
        backward = CudaGraphed(model, _backward, ledger.device)
        check = FiniteCheck(model, "TTT chunk", "lower ttt.lr")
        chunk_of = ledger.windows.first // self.chunk_tokens
        chunks = math.ceil(ledger.num_targets / self.chunk_tokens)
        state = AdaptationState(model, sgd, ledger)
        for chunk in range(checkpointer.restore(state), chunks):
            begin, end = np.searchsorted(chunk_of, [chunk, chunk + 1])
            if begin == end:
                continue  # an earlier window scored all of it
            ledger.score(model, ledger.windows[begin:end])
            lr = self.lr * (1 + math.cos(math.pi * chunk / max(chunks - 1, 1))) / 2
            score = ledger.so_far()
            events.metrics("ttt", chunk, val_loss=score.val_loss, val_bpb=score.val_bpb, lr=lr)
            events.progress("ttt", ledger.scored, ledger.num_targets, val_bpb=score.val_bpb)
            if chunk < chunks - 1:  # no target follows the last chunk
                for group in sgd.param_groups:
                    group["lr"] = lr * group["scale"]
                self._train(backward, sgd, ledger, chunk, model.seq_len)
                check.require_finite(chunk)
            [request] = dist.all_reduce_max(checkpointer.request())
            if request:
                check.require_finite(chunk + 1)
                checkpointer.save(state, chunk + 1, int(request))
        checkpointer.release()

    def _trained(self, model: GPT) -> list[dict[str, Any]]:
        """SGD's parameter groups; all other parameters stop requiring gradients."""
        looped = set(model.looped_blocks)
        for parameter in model.parameters():
            parameter.requires_grad_(self.parameters == "all")
        for i, block in enumerate(model.blocks):
            block.requires_grad_(i in looped if self.parameters == "recurrent" else i >= self.freeze_blocks)
        table = list(model.extra_embedding.parameters()) if model.extra_embedding is not None else []
        is_table = {id(parameter) for parameter in table}
        own = [parameter for parameter in model.parameters() if id(parameter) not in is_table]
        groups: list[dict[str, Any]] = [{"params": own, "scale": 1.0}, {"params": table, "scale": self.hash_lr_scale}]
        for group in groups:
            group["params"] = [parameter for parameter in group["params"] if parameter.requires_grad]
        return [group for group in groups if group["params"]]

    def _train(
        self, backward: CudaGraphed, sgd: torch.optim.Optimizer, ledger: Ledger, chunk: int, seq_len: int
    ) -> None:
        """Train on the chunk's whole sequences in order. The ranks share each batch: batches do not depend on them."""
        begin = chunk * self.chunk_tokens
        starts = np.arange(begin, min(begin + self.chunk_tokens, ledger.num_targets) - seq_len + 1, seq_len)
        parameters = [parameter for group in sgd.param_groups for parameter in group["params"]]
        for _ in range(self.epochs):
            for first in range(0, len(starts), self.batch_seqs):
                batch = starts[first : first + self.batch_seqs]
                mine = batch[dist.share(len(batch))]
                gradients.zero(parameters)
                if len(mine):
                    share = torch.full((), len(mine) / len(batch), device=ledger.device)
                    backward(*ledger.sequences(mine, seq_len), share)
                dist.all_reduce_sum(gradients.of(parameters))
                nn.utils.clip_grad_norm_(parameters, self.grad_clip, foreach=True)
                sgd.step()


def _backward(model: GPT, ids: Tensor, targets: Tensor, share: Tensor) -> None:
    """Add `share` times the gradients of a batch's mean loss."""
    with autocast(ids.device):
        loss = model(ids, targets) * share
    gradients.accumulate(loss, [parameter for parameter in model.parameters() if parameter.requires_grad])
