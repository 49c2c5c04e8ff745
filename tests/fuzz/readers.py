"""Every reader of a file that another may write, with valid files of its kind and a way to damage them."""

import json
import lzma
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import torch
import yaml
from fuzz.artifacts import PARAMS, Mutator, check_meaning
from fuzz.mutate import Rng, other_bytes, other_json, put, remove, spoil

from golf.cache.entries import MANIFEST, Entry
from golf.cache.stage_cache import load, store
from golf.data.fixture import Fixture
from golf.data.manifest import Manifest, read_manifest, shard_entry, tokenizer_entry
from golf.data.shard import read_contents, read_shard
from golf.data.tokenizer import read_byte_table
from golf.errors import Ended, UserError
from golf.events import Listener
from golf.io.artifact import read_artifact, write_artifact
from golf.io.checkpoint import read_checkpoint
from golf.io.event_file import EventRecorder
from golf.io.run_directory import RunFiles
from golf.pack.pack import program
from golf.pack.self_extracting import FILTER, wrap
from golf.report import tables
from golf.report.baseline import RECORD, read_baseline
from golf.report.flags import flags
from golf.report.runs import read_runs
from golf.report.variants import latest, variants
from golf.resume.snapshots import Checkpointer
from golf.run.input_run import with_model_of, with_seeds_of
from golf.sweep import status
from golf.sweep.conclusion import conclude
from golf.utils.hashing import sha256
from golf.verify.unpack import unpack
from golf.verify.verify import show, verify


@dataclass(frozen=True)
class Reader:
    """files: valid ones by their names in a directory, and `spoiled` those of them that are damaged.

    read: reads the directory; raises UserError for what it refuses, and nothing else. seal: makes digests right again.
    damage: how a file is damaged.
    """

    files: dict[str, bytes]
    spoiled: tuple[str, ...]
    read: Callable[[Path], Any]
    seal: Callable[[Path], None] = lambda directory: None
    damage: Callable[[Rng, Path, bytes], None] = spoil

    def write(self, directory: Path) -> None:
        for name, content in self.files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            put(directory / name, content)

    def spoil(self, rng: Rng, directory: Path) -> str:
        """Damage a file or two of a valid directory; which."""
        names = rng.sample(self.spoiled, min(len(self.spoiled), rng.choice([1, 1, 1, 2])))
        for name in names:
            self.damage(rng, directory / name, self.files[name])
        if rng.random() < 0.8:
            self.seal(directory)
        return ", ".join(names)

    def restore(self, directory: Path) -> None:
        for name, content in self.files.items():
            if (directory / name).is_symlink() or not (directory / name).is_file():
                remove(directory / name)
            put(directory / name, content)


RUN = "sweep/seed=42"
NO_CODEC = {"_target_": "golf.codec.none.NoCodec"}


def content_of(directory: Path) -> dict[str, bytes]:
    """Every file in or below a directory."""
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


# Models


def _artifact(codec: str, made: Path, scratch: Path) -> Reader:
    """Of every layer of the format, which golf.io.artifact describes."""
    mutator = Mutator(codec)

    def damage(rng: Rng, path: Path, _: bytes) -> None:
        layer = rng.choice(list(mutator.layers))
        put(path, mutator.layers[layer](rng))

    def read(directory: Path) -> None:
        check_meaning(read_artifact(directory / "a.golf"), directory / "a.golf")

    return Reader({"a.golf": mutator.good}, ("a.golf",), read, damage=damage)


def _input_artifact(made: Path, scratch: Path) -> Reader:
    """What it says of its model is damaged, and the format is not."""
    run = made / RUN
    config = yaml.safe_load((run / "config.yaml").read_text())
    whole = read_artifact(run / "artifact.golf", codec=config["codec"])

    def damage(rng: Rng, path: Path, content: bytes) -> None:
        model = other_model(rng, whole.model)
        try:
            write_artifact(path, whole.state, model=model, tokenizer_sha256=whole.tokenizer_sha256, codec=NO_CODEC)
        except (UserError, ValueError, TypeError, AttributeError):  # nobody could write it like this
            put(path, other_bytes(rng, content))

    write_artifact(
        scratch / "a", whole.state, model=whole.model, tokenizer_sha256=whole.tokenizer_sha256, codec=NO_CODEC
    )
    read = partial(_take, "artifact.golf", config)
    return Reader({"artifact.golf": (scratch / "a").read_bytes()}, ("artifact.golf",), read, damage=damage)


def _take(name: str, config: Mapping[str, Any], directory: Path) -> None:
    with_model_of(directory / name, name, config, frozenset())


def other_model(rng: Rng, model: dict[str, Any]) -> dict[str, Any]:
    """A model that claims something else, above all more of it."""
    sizes = [key for key, value in model.items() if type(value) is int]
    if rng.random() < 0.5:
        more = rng.choice([2, 3, 1000, 300_000, 10**8, 2**31, 2**62])
        return {**model, **{key: model[key] * more for key in rng.sample(sizes, rng.choice([1, 1, 2, 3]))}}
    return other_json(rng, model)


def _checkpoint(made: Path, scratch: Path) -> Reader:
    run = made / RUN
    config = yaml.safe_load((run / "config.yaml").read_text())
    content = (run / "checkpoint.pt").read_bytes()
    whole = torch.load(run / "checkpoint.pt", weights_only=True)

    def damage(rng: Rng, path: Path, content: bytes) -> None:
        if rng.random() < 0.5:
            edges = [content[:4096], content[4096:-16384], content[-16384:]]  # structure, tensors and structure
            at = rng.choice([0, 2])
            edges[at] = other_bytes(rng, edges[at])
            put(path, b"".join(edges))
            return
        value = {**whole, "model": other_model(rng, whole["model"])}
        name = rng.choice(list(value["raw"]))
        others = [
            torch.zeros(1).expand(10**9, 10**3),
            torch.zeros(3, dtype=torch.int8),
            torch.zeros(0),
            torch.eye(3).to_sparse(),
            torch.empty(10**9, device="meta"),
            value["raw"][name].double(),
            7,
        ]
        if rng.random() < 0.5:
            value["raw"] = {**value["raw"], rng.choice([name, "x"]): rng.choice(others)}
        if rng.random() < 0.2:
            value = {**value, rng.choice([*value, "x"]): rng.choice([None, [], {}, "", 1])}
        torch.save(value, path)

    def read(directory: Path) -> None:
        read_checkpoint(directory / "checkpoint.pt", "cpu")
        _take("checkpoint.pt", config, directory)

    return Reader({"checkpoint.pt": content}, ("checkpoint.pt",), read, damage=damage)


class Counting:
    """A state that is one number."""

    value = torch.zeros(4)

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def rank_state_dict(self) -> dict[str, Any]:
        return {"place": 3}

    def load_state_dict(self, state: dict[str, Any], rank_state: dict[str, Any]) -> None:
        self.value = self.value.clone().copy_(state["value"])
        self.place = int(rank_state["place"])


def _snapshot(made: Path, scratch: Path) -> Reader:
    def keep(directory: Path, use: Callable[[Checkpointer, Counting], Any]) -> Any:
        recorder = EventRecorder(Listener())
        recorder.event("stage_started", stage="train")
        recorder.metrics("train", 1, loss=2.5)
        checkpointer = Checkpointer(directory, "train", "key", 1e9, recorder, lambda: None)
        try:
            return use(checkpointer, Counting())
        finally:
            checkpointer.signals.restore()

    def run(directory: Path) -> Any:
        return keep(directory, lambda checkpointer, state: checkpointer.restore(state))

    keep(scratch / "run", lambda checkpointer, state: checkpointer.save(state, 3, 0))
    files = content_of(scratch / "run")
    (manifest,) = (name for name in files if name.endswith(MANIFEST))
    return Reader(files, tuple(files), run, seal=lambda directory: _seal_entry((directory / manifest).parent))


# Data


def _shard(made: Path, scratch: Path) -> Reader:
    files = Fixture(val_tokens=None, seed=None, order="global").open(Listener())

    def damage(rng: Rng, path: Path, content: bytes) -> None:
        header = bytearray(content[:1024])
        if rng.random() < 0.3:
            spoil(rng, path, content)
            return
        at = 4 * rng.randrange(4)
        header[at : at + 4] = rng.choice([0, 1, 2, 2**31 - 1, 2**31, 2**32 - 1, 20240520]).to_bytes(4, "little")
        put(path, bytes(header) + content[1024:][: rng.choice([0, 1, 1000, 10**6])])

    def read(directory: Path) -> None:
        read_shard(directory / "a.bin")
        read_contents(directory / "a.bin")

    return Reader({"a.bin": files.val_files[0].read_bytes()}, ("a.bin",), read, damage=damage)


def _data(made: Path, scratch: Path) -> Reader:
    """A data set's directory, of which the manifest is damaged."""
    files = Fixture(val_tokens=None, seed=None, order="global").open(Listener())
    train, val, tokenizer = files.train_files, files.val_files, files.tokenizer
    made = Manifest(
        scratch, {"from": "x"}, tokenizer_entry(tokenizer), [*map(shard_entry, train)], [*map(shard_entry, val)]
    )
    made.write()
    manifest = (scratch / "manifest.json").read_bytes()
    content = {path.name: path.read_bytes() for path in (*train, *val, tokenizer)}

    def read(directory: Path) -> None:
        found = read_manifest(directory)
        if found is not None:
            found.check_sizes()
            found.check_tokenizer(tokenizer, found.tokenizer["sha256"])
            for path in (*train, *val):
                found.check_shard(path, sha256(path))

    return Reader({"manifest.json": manifest, **content}, ("manifest.json",), read)


def _tokenizer(made: Path, scratch: Path) -> Reader:
    path = Fixture(val_tokens=None, seed=None, order="global").open(Listener()).tokenizer

    def read(directory: Path) -> None:
        table = read_byte_table(directory / "a.model")
        assert (table.base_bytes >= 0).all()

    return Reader({"a.model": path.read_bytes()}, ("a.model",), read)


# Runs


def _run(made: Path, scratch: Path) -> Reader:
    files = content_of(made / RUN)
    kept = {name: data for name, data in files.items() if name.endswith((".json", ".jsonl", ".yaml"))}
    kept["status.json"] = json.dumps(
        {"state": "done", "overrides": ["a=1"], "started": 1.0, "seconds": 1.0, "objectives": {}, "error": None}
    ).encode()
    config = yaml.safe_load(kept["config.yaml"])

    def read(directory: Path) -> None:
        try:
            of = variants(read_runs([directory])[0])
            made = [tables.scores(of, ["val_bpb", "val_loss"]), tables.each_run(of), tables.seconds(of)]
            made += [tables.bytes_per_tensor(of)] if tables.bytes_per_tensor(of) else []
            told = flags(of, {}, None)
            for runs in of.values():
                for one in latest(runs):
                    one.curve("train", "loss"), one.curve("ttt", "val_bpb"), one.val_targets
            assert made
            assert isinstance(told, list)
        finally:
            report = RunFiles(directory, None).read_report("train")
            if report is not None:
                with_seeds_of(report, config, frozenset())

    return Reader(kept, tuple(kept), read)


def _status(made: Path, scratch: Path) -> Reader:
    done = {"state": "done", "overrides": ["a=1"], "started": 1.0, "seconds": 1.0, "objectives": {"val_bpb": 1.0}}

    def read(directory: Path) -> None:
        with suppress(Ended), redirect_stdout(StringIO()):
            conclude(directory, ["val_bpb"])
        status.run_once(directory, ["a=1"], ["val_bpb"], lambda: {"val_bpb": 1.0}, lambda done: done, main=False)

    return Reader({"status.json": json.dumps({**done, "error": None}).encode()}, ("status.json",), read)


def _cache(made: Path, scratch: Path) -> Reader:
    report = json.loads((made / RUN / "train.json").read_text())
    recorded = [["event", "stage_started", None, {"stage": "train"}], ["metrics", "train", 1, {"loss": 2.5, "lr": 1.0}]]
    (scratch / "checkpoint.pt").write_bytes(b"content")
    entry = Entry(scratch / "entry")
    computed = {key: value for key, value in report.items() if key not in ("key", "inputs", "choices")}
    store(entry, scratch / "checkpoint.pt", computed, recorded, Listener())
    files = {f"entry/{name}": content for name, content in content_of(entry.path).items()}

    def read(directory: Path) -> None:
        report = load(Entry(directory / "entry"), directory / "checkpoint.pt", EventRecorder(Listener()))
        assert report is None or report["stage"]

    return Reader(files, tuple(files), read, seal=lambda directory: _seal_entry(directory / "entry"))


def _seal_entry(directory: Path) -> None:
    path = directory / MANIFEST
    if path.is_file() and not path.is_symlink():
        files = [file for file in sorted(directory.iterdir()) if file.is_file() and file.name != MANIFEST]
        put(path, json.dumps({file.name: sha256(file) for file in files if not file.is_symlink()}).encode())


def _baseline(made: Path, scratch: Path) -> Reader:
    return Reader({"a.json": RECORD.read_bytes()}, ("a.json",), lambda directory: read_baseline(directory / "a.json"))


# Submissions


def _submission(made: Path, scratch: Path) -> Reader:
    """The texts and the logs."""
    files = content_of(made / "submission")
    texts = tuple(name for name in files if name not in ("train_gpt.py", "artifact.golf"))
    return Reader(files, texts, _verify, seal=_seal_submission)


def _script(made: Path, scratch: Path) -> Reader:
    files = content_of(made / "submission")
    sources, config = unpack(files["train_gpt.py"])

    def damage(rng: Rng, path: Path, content: bytes) -> None:
        kind = rng.random()
        text = program(sources, config)
        head, *lines = text.split("\n")
        if kind < 0.3:
            lines[1] = "C=" + json.dumps(other_json(rng, config), ensure_ascii=False, separators=(",", ":"))
        elif kind < 0.5:
            name = rng.choice(list(sources))
            other = other_bytes(rng, sources[name].encode()).decode(errors="replace")
            lines[0] = program({**sources, name: other}, config).split("\n")[1]
        elif kind < 0.7:
            at = rng.randrange(len(lines))
            deep = ["C=" + "[" * 10**6, "M=" + "{}," * 10**6, "C={" + '"a":[' * 10**5]
            lines[at] = rng.choice([*deep, "", lines[at] * 9])
        elif kind < 0.75:
            lines = ["\0" * 10**7]
        else:
            spoil(rng, path, content)
            return
        data = "\n".join([head, *lines]).encode(errors="surrogatepass")
        packed = lzma.compress(data, lzma.FORMAT_ALONE, filters=[{**FILTER, "preset": 0}])
        put(path, wrap(packed))

    return Reader(files, ("train_gpt.py",), _verify, seal=_seal_submission, damage=damage)


def _verify(directory: Path) -> None:
    findings = verify(directory, None)
    with redirect_stdout(StringIO()):
        show(directory, findings)


def _seal_submission(folder: Path) -> None:
    path = folder / "submission.json"
    try:
        said = json.loads(path.read_bytes()) if path.is_file() and not path.is_symlink() else None
        said["files"] = {name: sha256(folder / name) for name in said["files"] if (folder / name).is_file()}
        put(path, json.dumps(said).encode())
    except (ValueError, TypeError, LookupError, OSError, RecursionError):  # then as it is
        pass


# What makes each, of a directory that submit.tiny made and of an empty one; and its share of the inputs.
READERS: dict[str, tuple[Callable[[Path, Path], Reader], float]] = {
    **{f"artifact {codec}": (partial(_artifact, codec), 1.0) for codec in PARAMS},
    "input artifact": (_input_artifact, 1.0),
    "checkpoint": (_checkpoint, 1.0),
    "snapshot": (_snapshot, 1.0),
    "shard": (_shard, 1.0),
    "data manifest": (_data, 1.0),
    "tokenizer": (_tokenizer, 1.0),
    "run": (_run, 2.0),
    "status": (_status, 1.0),
    "cache": (_cache, 1.0),
    "baseline": (_baseline, 0.5),
    "submission": (_submission, 0.5),
    "script": (_script, 0.5),
}
