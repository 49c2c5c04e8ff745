"""The SP8192 stack: a GPT with depth recurrence, parallel residuals, gated skips and a tied head (spec: Model)."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golf.errors import require
from golf.kernels.backend import PLAIN, Backend
from golf.kernels.cross_entropy import soft_cap
from golf.kernels.interface import Kernels
from golf.kernels.residual import Skip
from golf.kernels.rotary import rotary_tables
from golf.model.attention import Attention
from golf.model.block import MLP, Block
from golf.model.layer_order import layer_order


class GPT(nn.Module):
    """Token ids (batch, length) → hidden states, logits or loss.

    `recurrent` selects the layer order of the next forward pass; training starts without recurrence and switches it
    on, everything after training uses it. `extra_embedding`, where one is set, maps ids to rows that are added to
    the token embedding before the first norm.

    `embed_dtype` is the dtype of the token embedding as a parameter. With `residual_dtype` autocast the residual stream
    has the dtype that the layers compute in; with embedding that of the summed embeddings, as in the record, where a
    float32 extra embedding turns a bfloat16 stream into float32.
    """

    def __init__(
        self,
        backend: Backend = PLAIN,
        *,
        vocab_size: int,
        seq_len: int,
        num_layers: int,
        model_dim: int,
        embedding_dim: int,
        num_heads: int,
        num_kv_heads: int,
        mlp_mult: float,
        rope_dims: int,
        rope_base: float,
        qk_gain_init: float,
        xsa_last_n: int,
        num_loops: int,
        loop_start: int,
        loop_end: int,
        parallel_start_layer: int | None,
        skip_gates: bool,
        ln_scale: bool,
        logit_softcap: float,
        embed_init_std: float,
        embed_dtype: Literal["float32", "bfloat16"],
        residual_dtype: Literal["autocast", "embedding"],
    ):
        super().__init__()
        sizes = {"vocab_size": vocab_size, "seq_len": seq_len, "num_layers": num_layers, "model_dim": model_dim}
        sizes |= {"embedding_dim": embedding_dim, "num_heads": num_heads, "num_kv_heads": num_kv_heads}
        for name, size in sizes.items():
            require(size > 0, f"model.{name}={size} must be at least 1")
        require(int(mlp_mult * model_dim) > 0, f"model.mlp_mult={mlp_mult} leaves the MLP no hidden unit")
        require(num_loops >= 0, f"model.num_loops={num_loops} must not be negative")
        require(model_dim % num_heads == 0, f"model.num_heads={num_heads} must divide model.model_dim={model_dim}")
        head_size = model_dim // num_heads
        require(
            num_heads % num_kv_heads == 0, f"model.num_kv_heads={num_kv_heads} must divide model.num_heads={num_heads}"
        )
        require(
            rope_dims % 2 == 0 and 2 < rope_dims <= head_size,
            f"model.rope_dims={rope_dims} must be even, above 2 and at most the head size {head_size}",
        )
        require(
            0 <= loop_start <= loop_end < num_layers,
            f"model.loop_start={loop_start} … model.loop_end={loop_end} must lie within model.num_layers={num_layers}",
        )
        require(
            0 <= xsa_last_n <= num_layers,
            f"model.xsa_last_n={xsa_last_n} must be from 0 to model.num_layers={num_layers}",
        )
        require(
            parallel_start_layer is None or 0 <= parallel_start_layer <= num_layers,
            f"model.parallel_start_layer={parallel_start_layer} must be from 0 to {num_layers}, or null",
        )
        require(rope_base > 1, f"model.rope_base={rope_base} must be above 1")
        require(logit_softcap > 0, f"model.logit_softcap={logit_softcap} must be above 0")
        # A zero embedding would get no gradient: the hidden states and the tied head would both be zero.
        require(embed_init_std > 0, f"model.embed_init_std={embed_init_std} must be above 0")
        self.seq_len = seq_len
        self.rope_dims = rope_dims
        self.rope_base = rope_base
        self.logit_softcap = logit_softcap
        self.looped_blocks = range(loop_start, loop_end + 1) if num_loops else range(0)
        self.recurrent = True
        self.orders = {
            False: layer_order(num_layers, 0, loop_start, loop_end),
            True: layer_order(num_layers, num_loops, loop_start, loop_end),
        }
        self.tok_emb = nn.Embedding(vocab_size, embedding_dim)
        self.extra_embedding: nn.Module | None = None
        self.embed_proj = self.head_proj = None
        if embedding_dim != model_dim:
            self.embed_proj = nn.Linear(embedding_dim, model_dim, bias=False)
            self.head_proj = nn.Linear(model_dim, embedding_dim, bias=False)
        self.blocks = nn.ModuleList(
            Block(
                backend.kernels,
                Attention(backend, model_dim, num_heads, num_kv_heads, qk_gain_init, xsa=i >= num_layers - xsa_last_n),
                MLP(backend.kernels, model_dim, int(mlp_mult * model_dim)),
                model_dim,
                branch_scale=1 / math.sqrt(i + 1) if ln_scale else 1.0,
                parallel=parallel_start_layer is not None and i >= parallel_start_layer,
            )
            for i in range(num_layers)
        )
        skips = min(map(len, self.orders[True]))
        self.skip_weights = nn.Parameter(torch.ones(skips, model_dim))
        self.skip_gates = nn.Parameter(torch.zeros(skips, model_dim)) if skip_gates else None
        self._initialise(embed_init_std)
        self.tok_emb.to(getattr(torch, embed_dtype))
        self.residual_dtype = residual_dtype
        self.kernels = backend.kernels

    @torch.no_grad()
    def _initialise(self, embed_std: float) -> None:
        """Spec: Model 8. Linear layers below 64×64 keep PyTorch's own initialisation.

        The embedding is drawn first, as in the record, so that a seed gives the same initial weights there.
        """
        nn.init.normal_(self.tok_emb.weight, std=embed_std)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                if name.endswith((".attn.proj", ".mlp.proj")):
                    nn.init.zeros_(module.weight)
                elif min(module.weight.shape) >= 64:
                    nn.init.orthogonal_(module.weight)
        for parameter in self.parameters():  # float32 masters start at bfloat16 values (spec: Model 9)
            parameter.copy_(parameter.bfloat16())

    def hidden(self, ids: Tensor, positions: Tensor | None = None) -> Tensor:
        """The head's input, (batch, length, embedding width), for ids (batch, length).

        positions (n,) in batch · length: the last block computes only these; the result is (n, embedding width).
        """
        kernels = self.kernels
        x = self.tok_emb(ids)
        if self.extra_embedding is not None:
            x = x + self.extra_embedding(ids)
        x = kernels.residual((self._residual(x),), 1.0).normed
        if self.embed_proj is not None:
            x = kernels.linear(x, self.embed_proj.weight)
        x0, terms = None, (x,)
        cos, sin = rotary_tables(ids.size(1), self.rope_dims, self.rope_base, self.seq_len, ids.device)
        encoder, decoder = self.orders[self.recurrent]
        skips: list[Tensor | None] = []
        for n, i in enumerate(encoder):
            terms, x0, total = self.blocks[i](terms, x0, cos, sin, want_total=n > 0)
            if n > 0:
                skips.append(total)
        if encoder:
            skips.append(None)  # the decoder begins with the encoder's last state
        for j, i in enumerate(decoder):
            skip = self._skip(j, skips.pop()) if skips and j < len(self.skip_weights) else None
            last = j == len(decoder) - 1
            terms, x0, _ = self.blocks[i](terms, x0, cos, sin, skip, positions=positions if last else None)
        x = kernels.residual(terms, 1.0).normed
        return x if self.head_proj is None else kernels.linear(x, self.head_proj.weight)

    def set_kernels(self, kernels: Kernels) -> None:
        """Bind the kernels for all further passes."""
        for module in self.modules():
            if isinstance(module, GPT | Block | Attention | MLP):
                module.kernels = kernels

    def _residual(self, x: Tensor) -> Tensor:
        """x in the dtype of the residual stream (see `residual_dtype`)."""
        device = x.device.type
        if not torch.is_autocast_enabled(device):
            return x.float()
        return x if self.residual_dtype == "embedding" else x.to(torch.get_autocast_dtype(device))

    def _skip(self, j: int, state: Tensor | None) -> Skip:
        return Skip(state, self.skip_weights[j], None if self.skip_gates is None else self.skip_gates[j])

    def logits(self, hidden: Tensor) -> Tensor:
        """Soft-capped logits (…, vocabulary), float32, of hidden states (…, embedding width)."""
        return soft_cap(F.linear(hidden, self.tok_emb.weight.to(hidden.dtype)), self.logit_softcap)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats per token (a scalar) of targets (batch, length)."""
        return self.kernels.cross_entropy(self.hidden(ids), self.tok_emb.weight, targets, self.logit_softcap)
