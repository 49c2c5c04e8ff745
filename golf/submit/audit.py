"""The audit of a submission: the four conditions, the three budgets, provenance and logs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from golf.build import module_of
from golf.io.limits import EVAL_SECONDS, TOTAL_BYTES, TRAIN_SECONDS
from golf.report.runs import differing
from golf.run.provenance import code_digest
from golf.submit.evidence import ScriptLog, Seed


@dataclass(frozen=True)
class Check:
    """One requirement. `found`: what was seen; `margin`: what is left of a budget."""

    name: str
    holds: bool
    found: str
    margin: float | None = None


@dataclass(frozen=True)
class Audit:
    checks: Sequence[Check]

    @property
    def passed(self) -> bool:
        return all(check.holds for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {"verdict": "pass" if self.passed else "fail", "checks": [asdict(check) for check in self.checks]}


def audit(seeds: Sequence[Seed], script_sha256: str) -> Audit:
    """Audit all seeds together. `script_sha256`: of the packed script."""
    results = [{stage: report["result"] for stage, report in seed.run.reports.items()} for seed in seeds]
    facts = [facts_of_final(of_seed) for of_seed in results]
    return Audit(
        [
            *_probed(facts),
            *ledgers(facts, [seed.run.val_targets for seed in seeds]),
            account([seed.run.results.get("account") for seed in seeds]),
            *budgets([seed.figures for seed in seeds]),
            *_provenance(seeds),
            referee([seed.run.config["evaluation"] for seed in seeds]),
            *logs({seed.seed: seed.log for seed in seeds}, script_sha256),
            _data(seeds),
        ]
    )


def facts_of_final(results: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Facts of ledger and probe in the pass whose score counts, from the results of the stages."""
    ttt = results["ttt"]
    facts: Mapping[str, Any] = ttt["facts"] if ttt["ttt"] is not None else results["evaluate"]["facts"]["sliding"]
    return facts


def _probed(facts: Sequence[Mapping[str, Any]]) -> list[Check]:
    probed = min(each.get("probed", 0) for each in facts)
    moved = max(each.get("causality", 0.0) for each in facts)
    off = max(each.get("normalisation", 0.0) for each in facts)
    tried = f"at {probed} places of each pass"
    return [
        Check("condition 1: causal", probed > 0, f"no loss moved by more than {moved:.1g} nats, tried {tried}"),
        Check("condition 2: normalised", probed > 0, f"probabilities sum to 1 within {off:.1g}, tried {tried}"),
    ]


def ledgers(facts: Sequence[Mapping[str, Any]], targets: Sequence[int | None]) -> list[Check]:
    """facts, targets: of each seed, its ledger's facts and the number of targets in its data."""
    first = all(each["handed_out"] <= each["targets"] for each in facts)
    ledger = "the ledger handed out no token before it was scored"
    whole = all(each["targets"] == there for each, there in zip(facts, targets, strict=True))
    once = f"each of {facts[0]['targets']:,} targets was scored once, in order"
    return [
        Check("condition 3: score before update", first, ledger if first else "tokens were handed out before"),
        Check("condition 4: one pass", whole, once if whole else "not every target was scored"),
    ]


def account(accounts: Sequence[Mapping[str, Any] | None]) -> Check:
    """accounts: of each seed's stream (golf.data.accounting), or None for a run without one."""
    first = accounts[0]
    held = first is not None and not differing(accounts) and first["table_bytes"] == first["text_bytes"]
    found = "a run has none, or another; run again"
    if held and first is not None:
        found = "{text_bytes:,} of {tokens:,} tokens, by the table and by the decoded text".format(**first)
    return Check("bytes: by the text", held, found)


def budgets(figures: Sequence[Mapping[str, float]]) -> list[Check]:
    """figures: of each seed (golf.submit.evidence)."""
    limits = (
        ("train_seconds", "training and GPTQ", TRAIN_SECONDS, "s"),
        ("eval_seconds", "evaluation", EVAL_SECONDS, "s"),
        ("total_bytes", "code and artifact", TOTAL_BYTES, "bytes"),
    )
    checks = []
    for name, what, limit, unit in limits:
        most = max(of_seed[name] for of_seed in figures)
        found = f"{most:,.0f} of {limit:,.0f} {unit} at most, {limit - most:,.0f} left"
        checks.append(Check(f"budget: {what}", most <= limit, found, limit - most))
    return checks


def _provenance(seeds: Sequence[Seed]) -> list[Check]:
    """Check that provenance is complete, the same for all seeds, and of the code that the script is packed from."""
    facts: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "code": lambda provenance: provenance["code_sha256"],
        "data": lambda provenance: provenance["data"],
        "versions": lambda provenance: provenance["versions"],
        "device": lambda provenance: provenance["device"]["name"],
        "processes": lambda provenance: provenance["ranks"],
    }
    reports = [report for seed in seeds for report in seed.run.reports.values()]
    checks = []
    for name, fact in facts.items():
        alike = not differing([fact(report["provenance"]) for report in reports])
        found = "the same in all stages of all seeds" if alike else "differs between stages or seeds"
        checks.append(Check(f"provenance: {name}", alike, found))
    states = [report["provenance"]["git"] for report in reports]
    clean = all(state is not None and not state["dirty"] for state in states)
    commit = states[0]["commit"] if clean and states[0] else "code that is in no commit made a stage"
    here = all(report["provenance"]["code_sha256"] == code_digest() for report in reports)
    other = "the package is not that of the runs: check out their commit, or run them again"
    return [
        *checks,
        Check("provenance: commit", clean, commit),
        Check("provenance: script", here, "packed from the code of the runs" if here else other),
        _resumed(seeds),
    ]


def _resumed(seeds: Sequence[Seed]) -> Check:
    """Always holds; for information, since the seconds of a resumed stage are those of several processes."""
    reports = [(seed.seed, stage, report["resumed"]) for seed in seeds for stage, report in seed.run.reports.items()]
    resumed = [f"{stage} of seed {seed} {times}×" for seed, stage, times in reports if times]
    return Check("provenance: resumed", True, ", ".join(resumed) or "no stage of a run was cut off and resumed")


def referee(evaluations: Iterable[Mapping[str, Any]]) -> Check:
    """evaluations: the evaluation group of each configuration."""
    foreign = sorted({module for module in map(module_of, evaluations) if module.partition(".")[0] != "golf"})
    whose = f"by {', '.join(foreign)}, which no ledger of golf vouches for" if foreign else "by golf's own ledger"
    return Check("provenance: evaluation", not foreign, whose)


def logs(by_seed: Mapping[int, ScriptLog | None], script_sha256: str) -> list[Check]:
    """Check that the logs are complete and written by this script."""
    missing = [str(seed) for seed, log in by_seed.items() if log is None or log.score is None]
    others = [str(seed) for seed, log in by_seed.items() if log is not None and log.sha256 != script_sha256]
    whole, own = not missing, not others
    return [
        Check("logs: complete", whole, "one for each seed" if whole else f"missing for seed {', '.join(missing)}"),
        Check("logs: by the script", own, script_sha256 if own else f"of another script: seed {', '.join(others)}"),
    ]


def _data(seeds: Sequence[Seed]) -> Check:
    elsewhere = [str(seed.seed) for seed in seeds if seed.log is not None and not _same_data(seed)]
    data = f"on other data than the run: seed {', '.join(elsewhere)}" if elsewhere else "on the data of the runs"
    return Check("logs: data", not elsewhere, data)


def _same_data(seed: Seed) -> bool:
    """Whether the script read the tokenizer, the validation shards and as many training shards as the run did, and
    counted the same bytes."""
    assert seed.log is not None
    data = seed.run.results["provenance"]["data"]
    shards = {"train": len(data["train"]), "val": [shard["sha256"] for shard in data["val"]]}
    made = {"tokenizer": data["tokenizer"]["sha256"], "account": seed.run.results.get("account")}
    return seed.log.data == {**shards, "targets": seed.run.val_targets, **made}
