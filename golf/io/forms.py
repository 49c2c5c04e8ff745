"""The forms of a run's JSON and YAML files, as far as golf reads them (see golf.utils.reading)."""

from typing import Any, Literal, NotRequired, TypedDict


class Score(TypedDict):
    val_loss: float
    val_bpb: float


class Git(TypedDict):
    commit: str
    dirty: bool


class Shard(TypedDict):
    file: str
    sha256: str
    tokens: int


class Tokenizer(TypedDict):
    file: str
    sha256: str
    vocab_size: int


class Data(TypedDict):
    tokenizer: Tokenizer
    train: list[Shard]
    val: list[Shard]
    val_tokens: int | None


class Device(TypedDict):
    name: str


class Provenance(TypedDict):
    git: Git | None
    code_sha256: str
    data: Data
    versions: dict[str, str | None]
    device: Device
    date: str
    ranks: int


class Input(TypedDict):
    path: str
    sha256: str


class Computed(TypedDict):
    """A stage's report as the cache stores it: its outputs, configuration, provenance, number of resumptions, and
    result."""

    stage: str
    seconds: float
    resumed: int
    peak_memory_bytes: int
    output: dict[str, str] | None
    config: dict[str, int | dict[str, Any]]
    provenance: Provenance
    result: dict[str, Any]


class Report(Computed):
    """<stage>.json: with the stage's inputs in this run."""

    key: str
    inputs: dict[str, Input]
    choices: dict[str, str | None]


class Facts(TypedDict):
    """Facts of a ledger, and of the probe if there was one."""

    targets: int
    handed_out: int
    probed: NotRequired[int]
    causality: NotRequired[float]
    normalisation: NotRequired[float]


class Trained(TypedDict):
    steps: int
    tokens: int
    seconds: float
    tokens_per_second: float
    raw: Score
    prequant: Score


class QuantizeSeconds(TypedDict):
    quantize: float
    pack: float


class Quantized(TypedDict):
    artifact_bytes: int
    bytes_per_tensor: dict[str, float]
    seconds: QuantizeSeconds


class EvaluateFacts(TypedDict):
    quantized: Facts
    sliding: Facts


class Evaluated(TypedDict):
    quantized: Score
    sliding: Score
    seconds: dict[str, float]
    artifact_bytes: int
    facts: EvaluateFacts


class Adapted(TypedDict):
    ttt: Score | None
    seconds: float
    facts: Facts


RESULT_OF = {"train": Trained, "quantize": Quantized, "evaluate": Evaluated, "ttt": Adapted}  # by stage


class Seeded(TypedDict):
    seed: int | None


class TrainConfig(TypedDict):
    """The configuration in a training's report, as far as later runs need it."""

    seed: int
    data: Seeded


class Made(TypedDict):
    seconds: float
    key: str
    code_sha256: str
    git: Git | None
    device: str
    ranks: int


class Training(TypedDict):
    steps: int
    tokens: int
    seconds: float
    tokens_per_second: float


class Results(TypedDict):
    """results.json."""

    val_bpb: float | None
    val_loss: float | None
    prequant: Score | None
    quantized: Score | None
    sliding: Score | None
    ttt: Score | None
    artifact_bytes: int | None
    code_bytes: int
    total_bytes: int | None
    train: Training | None
    eval_seconds: float | None
    seed: int | None
    choices: dict[str, str | None]
    stages: dict[str, Made]
    provenance: Provenance


class Status(TypedDict):
    """status.json."""

    state: Literal["running", "done", "failed", "stopped"]
    overrides: list[str]
    started: float
    seconds: float
    objectives: dict[str, float] | None
    error: str | None


class Snapshot(TypedDict):
    """about.json of a snapshot."""

    key: str
    done: int
    times: int
    stage_seconds: float
    loop_seconds: float


class Identity(TypedDict):
    """The identity of a run: golf.run.identity."""

    config: dict[str, Any]
    input: dict[str, str]
    code: dict[str, str]
    data: dict[str, Any]


class Started(TypedDict):
    """How the run was started, beyond config.yaml: options, working directory, import paths, and logging."""

    choices: dict[str, str]
    cwd: str
    sys_path: list[str]
    logging: dict[str, Any]


class Run(TypedDict):
    """run.json."""

    identity: Identity
    started: Started


class Config(TypedDict):
    """config.yaml."""

    input: str | None
    tracker: dict[str, Any]
