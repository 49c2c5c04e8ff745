"""Were the logs written by this script, do their lines follow from each other, and do the logs fit together?"""

import math
from collections.abc import Iterator
from typing import Any

from golf.pack.script import STAGES, score
from golf.submit.evidence import ScriptLog
from golf.submit.folder import SCRIPT
from golf.utils.hashing import sha256
from golf.verify.finding import RELATIVE, Finding, compare, judged
from golf.verify.submission_folder import SubmissionFolder

ONCE = ("machine", "data", "artifact", "score")  # the first two lines and the last two, after the configuration
SCORE = ("val_loss", "val_bpb")


def logs(folder: SubmissionFolder) -> Iterator[Finding]:
    """Check each log by itself, then all of them together."""
    for seed, log in folder.logs.items():
        name = f"log {seed}"
        yield from compare(f"{name}: script", sha256(folder.path(SCRIPT)), log.sha256)
        yield from compare(f"{name}: config", folder.config_of(seed, log.config["data"]["path"]), log.config)
        yield _order(name, log)
        yield from compare(f"{name}: score", score(log.results, len(folder.script)), log.score)
        yield from _training(name, log)
        yield _passes(name, log)
        yield _seconds(name, log)
    yield from _together(list(folder.logs.values()))


def beyond(folder: SubmissionFolder) -> Iterator[Finding]:
    """What only a repeated training could check."""
    yield Finding("training", "not checked", "not repeated: intermediate losses, and the artifacts of other seeds")
    yield Finding("seconds, hardware", "not checked", "taken from the script's clock and device")


def artifact_digest(log: ScriptLog) -> str:
    """SHA-256 of the artifact that the log's run made."""
    digest: str = dict(log.lines)["artifact"]["sha256"]
    return digest


def _order(name: str, log: ScriptLog) -> Finding:
    """Check that the lines run from the first stage to the score, without duplicates."""
    words = [word for word, _ in log.lines]
    stages = [fields["stage"] for word, fields in log.lines if word == "finished"]
    steps = [fields["step"] for word, fields in log.lines if word == "train"]
    whole = (*words[:2], *words[-2:]) == ONCE and all(words.count(word) == 1 for word in ONCE)
    validated = [fields["step"] for word, fields in log.lines if word == "validate"]
    rising = steps == sorted(set(steps)) and validated[-1:] == steps[-1:] != []
    seen = f"{len(words)} lines of {len(stages)} stages, {len(steps)} of training"
    return judged(f"{name}: order", whole and rising and stages == [stage.name for stage in STAGES], seen)


def _training(name: str, log: ScriptLog) -> list[Finding]:
    """Derive the training's final line from the lines before it."""
    stated = log.results["train"]
    steps = [fields["step"] for word, fields in log.lines if word == "train"][-1]
    last = [fields for word, fields in log.lines if word == "validate"][-1]
    raw = {key: last[key] for key in SCORE}
    tokens = steps * log.config["trainer"]["batch_tokens"]
    seen = {
        "steps": steps,
        "tokens": tokens,
        "tokens_per_second": tokens / stated["seconds"],
        "raw": raw,
        "prequant": {key: last.get(f"ema_{key}", raw[key]) for key in SCORE},
    }
    return compare(f"{name}: training", seen, {key: stated[key] for key in seen})


def _passes(name: str, log: ScriptLog) -> Finding:
    """Check that every pass scored every target, and that only test-time training read tokens from its ledger."""
    evaluate, ttt = log.results["evaluate"]["facts"], log.results["ttt"]["facts"]
    targets = log.data["targets"]
    whole = all(facts["targets"] == targets for facts in (*evaluate.values(), ttt))
    apart = all(facts["handed_out"] == 0 for facts in evaluate.values()) and 0 <= ttt["handed_out"] <= targets
    seen = f"{len(evaluate) + 1} over {targets:,} targets"
    return judged(f"{name}: passes", whole and apart, seen)


def _seconds(name: str, log: ScriptLog) -> Finding:
    over = []
    for stage, fields in log.finished.items():
        inner = fields["result"]["seconds"]
        parts = inner.values() if isinstance(inner, dict) else [inner]
        if min(parts) < 0 or sum(parts) > fields["seconds"]:
            over.append(stage)
    seen = f"the parts took longer than the whole of {', '.join(over)}" if over else "no part is longer than the whole"
    return judged(f"{name}: seconds", not over, seen)


def _together(logs: list[ScriptLog]) -> Iterator[Finding]:
    first, *others = logs
    for what in ("data", "machine"):
        wrong = [log.path.name for log in others if getattr(log, what) != getattr(first, what)]
        seen = f"{', '.join(wrong)}: differs from {first.path.name}" if wrong else "the same for all"
        yield judged(f"logs: {what}", not wrong, seen)
    digests = {artifact_digest(log) for log in logs}
    yield judged("logs: artifacts", len(digests) == len(logs), f"{len(digests)} from {len(logs)} trainings")
    yield _bytes_per_token(logs)


def _bytes_per_token(logs: list[ScriptLog]) -> Finding:
    """Every whole pass covers the account's targets and bytes, so its loss / bpb must be their ratio."""
    found = [(log, name, one["val_loss"] / math.log(2) / one["val_bpb"]) for log in logs for name, one in _scores(log)]
    data = logs[0].data
    due = data["account"]["text_bytes"] / data["targets"]
    wrong = [f"{log.path.name} {name}" for log, name, one in found if not math.isclose(one, due, rel_tol=RELATIVE)]
    seen = f"{due:.6f} in {len(found)} scores" if not wrong else f"{due:.6f}, but not in {', '.join(wrong)}"
    return judged("logs: bytes per token", not wrong, seen)


def _scores(log: ScriptLog) -> list[tuple[str, Any]]:
    train, evaluate, ttt = (log.results[stage] for stage in ("train", "evaluate", "ttt"))
    passes = [("raw", train), ("prequant", train), ("quantized", evaluate), ("sliding", evaluate), ("ttt", ttt)]
    return [(name, result[name]) for name, result in passes if result[name] is not None]
