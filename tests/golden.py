"""The golden numbers: a small model with random weights, and what the record's script computes with it.

Gradients are stored as int16 fractions of their tensor's largest magnitude (`NAME/max`), everything else exactly.
"""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from golf.model.gpt import GPT

FOLDER = Path(__file__).parent / "fixtures" / "golden"
CONFIG = json.loads((FOLDER / "config.json").read_text())


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def gradients(name: str) -> dict[str, torch.Tensor]:
    stored = load(name)
    return {
        key: torch.from_numpy(value / np.float32(32767) * stored[f"{key}/max"])
        for key, value in stored.items()
        if not key.endswith("/max")
    }


def model(
    embed_dtype: Literal["float32", "bfloat16"] = "float32",
    residual_dtype: Literal["autocast", "embedding"] = "autocast",
) -> GPT:
    """The golden model, in float32 unless asked otherwise."""
    c = CONFIG
    gpt = GPT(
        vocab_size=c["vocab_size"],
        seq_len=c["seq"],
        num_layers=c["num_layers"],
        model_dim=c["model_dim"],
        embedding_dim=c["embedding_dim"],
        num_heads=c["num_heads"],
        num_kv_heads=c["num_kv_heads"],
        mlp_mult=c["mlp_mult"],
        rope_dims=c["rope_dims"],
        rope_base=c["rope_base"],
        qk_gain_init=c["qk_gain_init"],
        xsa_last_n=c["xsa_last_n"],
        num_loops=c["num_loops"],
        loop_start=c["loop_start"],
        loop_end=c["loop_end"],
        parallel_start_layer=c["parallel_start_layer"],
        skip_gates=c["skip_gates_enabled"],
        ln_scale=c["ln_scale"],
        logit_softcap=c["logit_softcap"],
        embed_init_std=0.005,
        embed_dtype=embed_dtype,
        residual_dtype=residual_dtype,
    )
    gpt.load_state_dict({key: torch.from_numpy(value) for key, value in load("weights").items()})
    return gpt
