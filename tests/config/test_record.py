"""experiment=record against the published values (spec)."""

import pytest
from hydra import compose, initialize_config_dir

from golf.app import plain
from golf.paths import config_dir

RECORD = {
    "compute": {"_target_": "golf.kernels.compute.Compute", "attention": "sdpa", "kernels": "plain"},
    "model": {
        "_target_": "golf.model.gpt.GPT",
        "vocab_size": 8192,
        "seq_len": 2048,
        "num_layers": 11,
        "model_dim": 512,
        "embedding_dim": 512,
        "num_heads": 8,
        "num_kv_heads": 4,
        "mlp_mult": 4.0,
        "rope_dims": 16,
        "rope_base": 10_000.0,
        "qk_gain_init": 4.0,
        "xsa_last_n": 11,
        "num_loops": 2,
        "loop_start": 4,
        "loop_end": 5,
        "parallel_start_layer": 7,
        "skip_gates": True,
        "ln_scale": True,
        "logit_softcap": 30.0,
        "embed_init_std": 0.005,
        "embed_dtype": "bfloat16",
        "residual_dtype": "embedding",
    },
    "optimizer": {
        "_target_": "golf.optim.muon_adamw.MuonAdamW",
        "matrix_lr": 0.02,
        "matrix_decay": 0.085,
        "momentum_start": 0.92,
        "momentum": 0.99,
        "momentum_steps": 1500,
        "ns_steps": 5,
        "ns_dtype": "bfloat16",
        "embed_lr": 0.03,
        "embed_decay": 0.085,
        "scalar_lr": 0.02,
        "scalar_decay": 0.02,
        "betas": [0.9, 0.95],
        "eps": 1e-8,
    },
    "trainer": {
        "_target_": "golf.train.trainer.Trainer",
        "steps": 20_000,
        "budget_seconds": 600.0,
        "reserve_seconds": 12.0,
        "batch_tokens": 786_432,
        "micro_batches": 8,  # of 98,304 tokens
        "warmdown": 0.667,
        "recurrence_start": 0.5,
        "grad_clip": 0.3,
        "warmup_steps": 20,
        "ema": 0.997,
    },
    "quantizer": {
        "_target_": "golf.quantizer.gptq.GPTQ",
        "min_elements": 65_536,
        "matrix_bits": 6,
        "matrix_clip": 12.85,
        "embed_bits": 8,
        "embed_clip": 20.0,
        "fit_bytes": False,
        "calibration_batches": 64,
        "calibration_tokens": 98_304,
        "block_size": 128,
        "damping": 0.01,
    },
    "codec": {"_target_": "golf.codec.brotli.Brotli", "quality": 11, "byte_shuffle": True},
    "evaluation": {"_target_": "golf.evaluation.sliding.Sliding", "stride": 64, "logits_dtype": "bfloat16"},
    "ttt": {
        "_target_": "golf.ttt.score_first.ScoreFirst",
        "chunk_tokens": 32_768,
        "epochs": 3,
        "lr": 0.005,
        "momentum": 0.9,
        "batch_seqs": 32,
        "grad_clip": 1.0,
        "parameters": "all",
        "freeze_blocks": 0,
        "hash_embed": True,
        "hash_buckets": 16_384,
        "hash_lr_scale": 1.0,  # what it computed; its log says 10
    },
    "data": {
        "_target_": "golf.data.shards.Shards",
        "train_glob": "fineweb_train_*.bin",
        "val_glob": "fineweb_val_*.bin",
        "val_tokens": None,  # all 40,540,160
        "seed": None,  # the same order for every seed
        "order": "record",  # each rank its own shards
    },
}
# What does not change what is computed, or depends on the machine.
FREE = {
    "compute": {"device", "threads", "compile", "deterministic"},
    "trainer": {"log_every", "validate_every"},
    "codec": {"lgwin"},
    "evaluation": {"batch_tokens", "probes"},
    "data": {"path", "tokenizer"},
}


def composed(*overrides: str) -> dict:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return plain(compose("config", overrides=["experiment=record", *overrides]))


@pytest.mark.parametrize("group", RECORD)
def test_values(group):
    found = composed()[group]
    assert {key: value for key, value in found.items() if key not in FREE.get(group, ())} == RECORD[group]


@pytest.mark.parametrize("seed", [1337, 42, 2025])
def test_the_seed_changes_the_initialisation_alone(seed):
    one, other = composed(), composed(f"seed={seed}")
    assert other.pop("seed") == seed
    one.pop("seed")
    assert one == other


def test_everything_is_run():
    config = composed()
    assert config["stages"] == ["train", "quantize", "evaluate"]
    assert config["seed"] == 1337
    assert config["input"] is None


def test_a_part_can_be_left_out():
    assert composed("ttt=none")["ttt"] == {"_target_": "golf.ttt.strategy.NoTTT"}


def test_defaults_use_float32_and_a_seeded_data_order():
    """Where the record is wrong, only experiment=record follows it."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = plain(compose("config", overrides=["seed=7"]))
    assert config["evaluation"]["logits_dtype"] == "float32"
    assert config["data"]["seed"] == 7
