"""Do the texts say what follows from logs, script and artifact?"""

from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from itertools import zip_longest

from golf.errors import require
from golf.submit.audit import Audit, Check, account, budgets, facts_of_final, ledgers, referee
from golf.submit.audit import logs as logs_hold
from golf.submit.evidence import figures
from golf.submit.folder import COMPLIANCE, README, SUBMISSION, About, Told, digest, readme, submission
from golf.submit.submit import changes
from golf.verify.finding import Finding, compare, judged, shown
from golf.verify.handed import SubmissionFolder
from golf.verify.script import same_version

# What an audit knows from the framework's runs, and nobody from the folder.
PROBED = ("condition 1: causal", "condition 2: normalised")
PROVENANCE = tuple(
    f"provenance: {fact}" for fact in ("code", "data", "versions", "device", "processes", "commit", "script", "resumed")
)
SAME_DATA = "logs: data"
APART = ("date", "packed_by", "files")  # of submission.json, what follows from nothing or is used elsewhere


def statement(handed: SubmissionFolder) -> Iterator[Finding]:
    """submission.json: scores, their mean and spread, sizes, seconds, seeds, hardware, versions and the verdict."""
    stated = {key: value for key, value in handed.submission.items() if key not in APART}
    yield from compare(SUBMISSION, submission(_told(handed)), stated)
    date.fromisoformat(handed.submission["date"])
    who = ", ".join([*(field.name for field in fields(About)), "date", "packed_by"])
    yield Finding(f"{SUBMISSION}: stated", "not checked", f"only who made it knows {who}")


def compliance(handed: SubmissionFolder) -> Iterator[Finding]:
    """compliance.json: budgets and their margins, what the ledgers did, the logs, and the verdict."""
    again, stated = _audit(handed).as_json(), handed.compliance
    names = [[check["name"] for check in said["checks"]] for said in (again, stated)]
    yield from compare(f"{COMPLIANCE}: names", *names)
    by_name = [{**said, "checks": {check["name"]: check for check in said["checks"]}} for said in (again, stated)]
    yield from compare(COMPLIANCE, *by_name)
    failing = [check["name"] for check in again["checks"] if not check["holds"]]
    told = f"does not hold: {', '.join(failing)}" if failing else "every check of the audit holds"
    yield judged(f"{COMPLIANCE}: verdict", not failing, told)
    of_runs = ", ".join((*PROBED, *PROVENANCE, SAME_DATA))
    yield Finding(f"{COMPLIANCE}: runs", "not checked", f"they are not in the folder, and told of {of_runs}")


def read_me(handed: SubmissionFolder) -> Iterator[Finding]:
    """README.md, written again; if another version of golf wrote it, its scores alone."""
    text = handed.text(README).splitlines()
    again = readme(_told(handed)).splitlines()
    wrong = [(shown(stated), shown(seen)) for stated, seen in zip_longest(text, again) if stated != seen]
    scores = [line for line in again if line.startswith(("**val_bpb", *(f"| {seed} |" for seed in handed.seeds)))]
    if not wrong:
        yield Finding(README, "held", f"written again, its {len(text)} lines are the same")
    elif same_version(handed) or not set(scores) <= set(text):
        yield Finding(README, "failed", "{} is stated, {} is seen".format(*wrong[0]))
    else:
        yield Finding(README, "not checked", "another version of golf wrote it; its scores are those of the logs")


def _told(handed: SubmissionFolder) -> Told:
    """What the texts are made from. Who made it, and what the runs told, is taken as it is stated."""
    about = About(**{field.name: handed.submission[field.name] for field in fields(About)})
    first, *_ = handed.logs.values()
    return Told(about, _figures(handed), first.machine, _audit(handed), changes(handed.config))


def _figures(handed: SubmissionFolder) -> dict[int, dict[str, float]]:
    return {seed: figures(log.results, log.score or {}) for seed, log in handed.logs.items()}


def _audit(handed: SubmissionFolder) -> Audit:
    """As golf.submit.audit does it, from the folder."""
    stated = {check["name"]: check for check in handed.compliance["checks"]}

    def of_runs(name: str) -> Check:
        require(name in stated, f"{COMPLIANCE}: does not say {name!r}")
        return Check(name, stated[name]["holds"] is True, stated[name]["found"])

    logs = handed.logs
    facts = [facts_of_final(log.results) for log in logs.values()]
    return Audit(
        [
            *map(of_runs, PROBED),
            *ledgers(facts, [log.data["targets"] for log in logs.values()]),
            account([log.data.get("account") for log in logs.values()]),
            *budgets(list(_figures(handed).values())),
            *map(of_runs, PROVENANCE),
            referee([handed.config["evaluation"]]),
            *logs_hold(logs, digest(handed.script)),
            of_runs(SAME_DATA),
        ]
    )
