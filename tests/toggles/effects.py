"""What each toggle of conf/ changes: whoever adds a boolean or an option there declares it here.

Each `Flip` is made in the tiny setting, and what differs has to be exactly what it declares to change. The words are
those of `observe.golf`:

    files              names of what lies in the run directory, and beside it
    events             what was said to happen, in order
    data, steps        which tokens there were, how many steps were taken with how many tokens
    train loss, …      the curves of metrics.jsonl: train, validate, ttt
    raw, ema           the checkpoint's weights
    tensors, artifact  what the artifact decodes to, and its bytes
    unigram … ttt      the scores in results.json
    code               which modules a submission needs
    kernels, graphs    which kernels training launches and how often, and how many compiled graphs
    tracked            what W&B recorded: curves and artifacts
    answer             what a command says that runs no job
    config …           with --cfg=job: keys of the configuration
"""

from dataclasses import dataclass, field

from golf.paths import PACKAGE

FIXTURE = PACKAGE / "data" / "fixture"

USUAL = "experiment=tiny cache=off compute.device=cpu"
LENGTH = "trainer.steps=3 trainer.batch_tokens=256 trainer.micro_batches=1"  # the last step has recurrence
UNCALIBRATED = f"{LENGTH} data.val_tokens=1025 evaluation.probes=1 ttt.chunk_tokens=512"  # two chunks
QUICK = f"{UNCALIBRATED} quantizer.calibration_batches=1"
TRAIN = f"{QUICK} stages=[train]"  # for what changes the weights: later numbers would merely follow from them


@dataclass(frozen=True)
class Flip:
    """`flip`: the toggle, then what makes it fit the tiny setting. `at`: what holds without it and, but for keys of an
    option that is flipped, with it. `elsewhere`: the test of what the tiny setting on one CPU does not show."""

    flip: str
    changes: set[str] = field(default_factory=set)
    at: str = QUICK
    elsewhere: str = ""

    @property
    def toggle(self) -> str:
        return self.flip.split()[0]

    @property
    def key(self) -> str:
        """The key, or the group of the option."""
        return self.toggle.partition("=")[0]

    @property
    def without(self) -> tuple[str, ...]:
        return _command([*USUAL.split(), *self.at.split()])

    @property
    def with_it(self) -> tuple[str, ...]:
        flipped = {word.partition("=")[0] for word in self.flip.split()}
        kept = [word for word in self.without if word.partition("=")[0].partition(".")[0] not in flipped]
        return _command([*kept, *self.flip.split()])


def _command(words: list[str]) -> tuple[str, ...]:
    """The words in one order, options first; of two for one key the later."""
    return tuple(sorted({word.partition("=")[0]: word for word in words}.values()))


TTT = {"ttt", "ttt val_loss"}
CODES = {"tensors", "artifact", "quantized", "sliding", *TTT}
EMA = {"ema", "prequant", "validate ema_val_loss"}
TRAINED = {"train loss", "raw", "validate val_loss", *EMA}
VALIDATED = {"unigram", "prequant", "validate val_loss", "validate ema_val_loss"}
SIZES = {"config data", "config model", "config trainer", "config tracker", "config compute"}
RECORD = {*SIZES, "config codec", "config evaluation", "config quantizer", "config ttt"}

SHARDS = f"data.path={FIXTURE} data.tokenizer={FIXTURE}/tokenizer.model data.val_tokens=1025"
STDLIB = "data.vocab_size=1024 model.vocab_size=1024 data.corpus_bytes=200000 data.val_tokens=1025"
# Of the big models all but the depth is that of the tiny one.
WIDTHS = "model.seq_len=128 model.model_dim=32 model.embedding_dim=32 model.num_heads=2 model.num_kv_heads=1"
WIDTHS += " model.vocab_size=320 model.rope_dims=8 model.mlp_mult=2.0"
UNCOMPILED = f"{LENGTH} trainer.warmup_steps=0 compute.compile=false"

ON_GPUS = "tests/test_gpu.py::test_attention_agrees_with_float32"
ON_CPUS = "tests/kernels/test_choose.py::test_a_model_of_plain_kernels_is_one_graph"
ON_LAUNCHERS = "tests/sweep/test_launchers.py::test_a_failure_stops_no_other_job"
ON_QUEUES = "tests/sweep/test_launchers.py::test_slurm_runs_a_job_again_that_it_took_away"
ON_NODES = "tests/sweep/test_launchers.py::test_slurm_runs_one_job_on_two_nodes"
BY_OPTUNA = "tests/sweep/test_search.py::test_a_search_goes_on_where_it_was_and_trains_once"
ON_RANKS = "tests/launch/test_launch.py::test_record_order_deals_shards"
OPENED = "tests/data/test_dataset.py::test_a_directory_of_shards_opens"

BOOLEANS = [
    Flip("codec.byte_shuffle=false", {"artifact"}, at=f"{QUICK} codec=brotli"),
    Flip("codec.byte_shuffle=false", {"artifact"}, at=f"{QUICK} codec=lzma"),
    Flip(
        "data.split_digits=false",
        {"data", "events", "unigram", *TRAINED},
        at=f"{TRAIN} data=stdlib {STDLIB} data.val_tokens=null",
    ),
    Flip(
        "hydra.launcher.additional_parameters.requeue=false",
        {"answer"},
        at="--cfg=hydra hydra/launcher=slurm",
        elsewhere=ON_QUEUES,
    ),
    Flip(
        "hydra.launcher.ray.init.include_dashboard=true",
        {"answer"},
        at="--cfg=hydra hydra/launcher=ray_cluster",
        elsewhere=ON_LAUNCHERS,
    ),
    Flip(
        "hydra.launcher.ray.init.log_to_driver=true",
        {"answer"},
        at="--cfg=hydra hydra/launcher=ray_cluster",
        elsewhere=ON_LAUNCHERS,
    ),
    Flip(
        "hydra.job.chdir=true",
        at=f"{TRAIN} cache=on cache.directory=relative",
        elsewhere="tests/config/test_places.py::test_runs_take_paths_from_where_the_command_was_given",
    ),
    Flip("model.ln_scale=false", {*TRAINED, *CODES}),
    Flip("model.skip_gates=false", {"kernels", *TRAINED, *CODES}),
    Flip("tracker.log_artifact=false", {"tracked"}, at=f"{QUICK} tracker=wandb tracker.mode=offline"),
    Flip("overwrite=true", at=TRAIN, elsewhere="tests/run/test_identity.py::test_overwriting"),
    Flip("compute.compile=true", {"graphs", "kernels"}, at=TRAIN),
    Flip("compute.deterministic=true", {"kernels"}),
    Flip("quantizer.fit_bytes=true", {"code", "events", *CODES}),
    Flip("quantizer.fit_bytes=true", {"code", "events", *CODES}, at=f"{UNCALIBRATED} quantizer=rtn"),
    Flip("ttt.hash_embed=false", TTT),
]
OPTIONS = [
    Flip("compute=deterministic compute.threads=1", {"kernels"}),
    Flip("compute=fast", {"answer"}),
    Flip("compute=plain compute.threads=1", at=TRAIN, elsewhere=ON_CPUS),  # which `auto` is on the CPU
    Flip("cache=on cache.directory=relative", {"files"}),
    Flip("codec=brotli", {"artifact", "code"}),
    Flip("codec=lzma", {"artifact", "code"}),
    Flip("codec=none", {"artifact", "code"}),
    Flip(
        f"data=fineweb_sp1024 {SHARDS} data.train_glob=*_train_000000.bin data.val_glob=*_val_*.bin",
        {"data", "events", *TRAINED},
        at=TRAIN,
    ),
    Flip(f"data=fineweb_sp8192 {SHARDS} data.train_glob=*_train_*.bin data.val_glob=*_val_*.bin", TRAINED, at=TRAIN),
    Flip(f"data=shards {SHARDS} data.train_glob=*_train_000000.bin", {"data", "events", *TRAINED}, at=TRAIN),
    Flip(
        f"data=stdlib {STDLIB} data.vocab_size=320 model.vocab_size=320",
        {"data", "events", "unigram", *TRAINED},
        at=TRAIN,
    ),
    Flip("evaluation=record", {"sliding", *TTT}),
    Flip("experiment=novels", RECORD, at="--cfg=job"),
    Flip("experiment=record", RECORD, at="--cfg=job"),
    Flip("experiment=smoke", SIZES, at="--cfg=job"),
    Flip("hydra/help=default", {"answer"}, at="--help"),
    Flip("hydra/sweeper=basic", {"answer"}, at="-m codec=choice(none) codec.quality=choice(1)"),
    # Who runs the jobs of a sweep, and which: told here, and done by the tests named.
    Flip("hydra/launcher=local", {"answer"}, at="--cfg=hydra", elsewhere=ON_LAUNCHERS),
    Flip("hydra/launcher=parallel", {"answer"}, at="--cfg=hydra", elsewhere=ON_LAUNCHERS),
    Flip("hydra/launcher=ray_cluster", {"answer"}, at="--cfg=hydra", elsewhere=ON_LAUNCHERS),
    Flip("hydra/launcher=slurm", {"answer"}, at="--cfg=hydra", elsewhere=ON_LAUNCHERS),
    Flip("hydra/sweeper=search", {"answer"}, at="--cfg=hydra", elsewhere=BY_OPTUNA),
    Flip("launch=slurm", {"config launch"}, at="--cfg=job", elsewhere=ON_NODES),
    Flip("resume=off", {"events", "kernels"}),
    Flip("sweep=clip_search", {"config sweep"}, at="--cfg=job", elsewhere=BY_OPTUNA),
    Flip("sweep=ttt_search", {"answer"}, at="--cfg=hydra", elsewhere=BY_OPTUNA),
    Flip(f"model=record {WIDTHS}", {"kernels", *TRAINED}, at=TRAIN),
    Flip("model=small model.vocab_size=320", {"kernels", *TRAINED}, at=TRAIN),
    Flip(f"model=sp8192 {WIDTHS}", {"kernels", *TRAINED}, at=TRAIN),
    Flip("optimizer=adamw", {"code", "kernels", *TRAINED}, at=TRAIN),
    Flip("quantizer=none", {"code", *CODES}),
    Flip("quantizer=record quantizer.calibration_batches=1 quantizer.calibration_tokens=4096", CODES),
    Flip("quantizer=rtn", {"code", *CODES}),
    Flip("tracker=wandb tracker.mode=offline", {"files", "tracked"}),
    Flip(f"trainer=novels {UNCOMPILED}", EMA, at=TRAIN),
    Flip(f"trainer=record {UNCOMPILED}", {"events", "kernels", "train lr_scale", *TRAINED}, at=TRAIN),
    Flip(f"trainer=short {LENGTH}", {"kernels", "train loss", "train lr_scale", *EMA}, at=TRAIN),
    Flip("ttt=none", {"code", "files", "ttt lr", *TTT}),
    Flip("ttt=record ttt.chunk_tokens=512", {"ttt lr", *TTT}),
]
# Keys that take one of a few names.
NAMES = [
    Flip("compute.attention=fa2", {"answer"}, elsewhere=ON_GPUS),
    Flip("compute.attention=fa3", {"answer"}, elsewhere=ON_GPUS),
    Flip("compute.attention=fa4", {"answer"}, elsewhere=ON_GPUS),
    Flip("compute.attention=sdpa", at=TRAIN, elsewhere=ON_GPUS),  # which `auto` is on the CPU
    # One process has all the shards in either order.
    Flip("data.order=record", at=TRAIN, elsewhere=ON_RANKS),
    Flip("data.order=record", at=f"{TRAIN} data=shards {SHARDS}", elsewhere=OPENED),
    Flip("data.order=record", at=f"{TRAIN} data=stdlib {STDLIB}", elsewhere=ON_RANKS),
    Flip("compute.device=cuda", {"answer"}),
    Flip("evaluation.logits_dtype=bfloat16", {"sliding", *TTT}),
    Flip("launch.rdzv_backend=static", {"answer"}),
    Flip("model.embed_dtype=bfloat16", {"kernels", *TRAINED}, at=TRAIN),
    Flip("compute.kernels=plain", at=TRAIN, elsewhere=ON_CPUS),  # which `auto` is on the CPU
    Flip("compute.kernels=quack", {"answer"}),
    Flip("compute.kernels=triton", {"answer"}),
    # Without autocast, which only GPUs have, the stream is float32.
    Flip("model.residual_dtype=embedding", elsewhere="tests/model/test_precision.py::test_residual_stream"),
    Flip("optimizer.ns_dtype=float32", {"kernels", *TRAINED}, at=TRAIN),
    Flip("tracker.mode=offline", {"files", "tracked"}, at=f"{QUICK} tracker=wandb"),
    Flip("tracker.mode=online", {"answer"}, at=f"{QUICK} tracker=wandb"),
    Flip("ttt.parameters=recurrent", TTT),
]
# Keys that null or 0 switches off.
NOTHING = [
    Flip("data.seed=null", {*TRAINED, *CODES}),
    Flip("data.seed=null", TRAINED, at=f"{TRAIN} data=shards {SHARDS}"),
    Flip("data.seed=null", TRAINED, at=f"{TRAIN} data=stdlib {STDLIB}"),
    Flip("data.val_tokens=null", {"events", *VALIDATED}, at=TRAIN),
    Flip("data.val_tokens=null", {"events", *VALIDATED}, at=f"{TRAIN} data=shards {SHARDS}"),
    Flip("data.val_tokens=null", {"events", *VALIDATED}, at=f"{TRAIN} data=stdlib {STDLIB}"),
    Flip("model.num_loops=0", {"events", "kernels", *TRAINED}, at=TRAIN),
    Flip("model.parallel_start_layer=null", {"kernels", *TRAINED}, at=TRAIN),
    Flip("model.xsa_last_n=0", {"kernels", *TRAINED}, at=TRAIN),
    Flip("compute.threads=null", at=TRAIN, elsewhere="tests/test_pipeline.py::test_threads_are_those_of_this_run"),
    Flip("trainer.budget_seconds=1e6", {"events", "kernels", "train lr_scale", *TRAINED}, at=TRAIN),
    Flip("trainer.ema=null", {"kernels", *EMA, *CODES}),
    Flip("trainer.validate_every=1", {"kernels", "validate val_loss"}),
    Flip("ttt.epochs=0", TTT),
]
FLIPS = [*BOOLEANS, *OPTIONS, *NAMES, *NOTHING]
