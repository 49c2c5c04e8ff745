"""Do the texts agree with logs, script and artifact?"""

from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from itertools import zip_longest

from golf.errors import require
from golf.submit.audit import Audit, Check, account, budgets, facts_of_final, ledgers, referee
from golf.submit.audit import logs as logs_hold
from golf.submit.evidence import figures
from golf.submit.folder import COMPLIANCE, README, SUBMISSION, About, Facts, digest, readme, submission
from golf.submit.submit import changes
from golf.verify.finding import Finding, compare, judged, shown
from golf.verify.script import same_version
from golf.verify.submission_folder import SubmissionFolder

# Checks of an audit that need the framework's runs, which the folder does not hold.
PROBED = ("condition 1: causal", "condition 2: normalised")
PROVENANCE = tuple(
    f"provenance: {fact}" for fact in ("code", "data", "versions", "device", "processes", "commit", "script", "resumed")
)
SAME_DATA = "logs: data"
APART = ("date", "packed_by", "files")  # keys of submission.json that cannot be derived or are used elsewhere


def statement(folder: SubmissionFolder) -> Iterator[Finding]:
    """Check submission.json: scores, mean, spread, sizes, seconds, seeds, hardware, versions and verdict."""
    stated = {key: value for key, value in folder.submission.items() if key not in APART}
    yield from compare(SUBMISSION, submission(_facts(folder)), stated)
    date.fromisoformat(folder.submission["date"])
    who = ", ".join([*(field.name for field in fields(About)), "date", "packed_by"])
    yield Finding(f"{SUBMISSION}: stated", "not checked", f"only the author can confirm {who}")


def compliance(folder: SubmissionFolder) -> Iterator[Finding]:
    """Check compliance.json: budgets and their margins, the ledgers' counts, the logs, and the verdict."""
    again, stated = _audit(folder).as_json(), folder.compliance
    names = [[check["name"] for check in each["checks"]] for each in (again, stated)]
    yield from compare(f"{COMPLIANCE}: names", *names)
    by_name = [{**each, "checks": {check["name"]: check for check in each["checks"]}} for each in (again, stated)]
    yield from compare(COMPLIANCE, *by_name)
    failing = [check["name"] for check in again["checks"] if not check["holds"]]
    seen = f"does not hold: {', '.join(failing)}" if failing else "every check of the audit holds"
    yield judged(f"{COMPLIANCE}: verdict", not failing, seen)
    of_runs = ", ".join((*PROBED, *PROVENANCE, SAME_DATA))
    yield Finding(f"{COMPLIANCE}: runs", "not checked", f"the folder lacks the runs that show {of_runs}")


def read_me(folder: SubmissionFolder) -> Iterator[Finding]:
    """Check README.md by writing it again; if another version of golf wrote it, only its scores."""
    text = folder.text(README).splitlines()
    again = readme(_facts(folder)).splitlines()
    wrong = [(shown(stated), shown(seen)) for stated, seen in zip_longest(text, again) if stated != seen]
    scores = [line for line in again if line.startswith(("**val_bpb", *(f"| {seed} |" for seed in folder.seeds)))]
    if not wrong:
        yield Finding(README, "held", f"written again, its {len(text)} lines are the same")
    elif same_version(folder) or not set(scores) <= set(text):
        yield Finding(README, "failed", "{} is stated, {} is seen".format(*wrong[0]))
    else:
        yield Finding(README, "not checked", "another version of golf wrote it; its scores are those of the logs")


def _facts(folder: SubmissionFolder) -> Facts:
    """The input of the texts. The author's entries and the checks of runs are taken as stated."""
    about = About(**{field.name: folder.submission[field.name] for field in fields(About)})
    first, *_ = folder.logs.values()
    return Facts(about, _figures(folder), first.machine, _audit(folder), changes(folder.config))


def _figures(folder: SubmissionFolder) -> dict[int, dict[str, float]]:
    return {seed: figures(log.results, log.score or {}) for seed, log in folder.logs.items()}


def _audit(folder: SubmissionFolder) -> Audit:
    """The audit of golf.submit.audit, derived from the folder."""
    stated = {check["name"]: check for check in folder.compliance["checks"]}

    def of_runs(name: str) -> Check:
        require(name in stated, f"{COMPLIANCE}: lacks the check {name!r}")
        return Check(name, stated[name]["holds"] is True, stated[name]["found"])

    logs = folder.logs
    facts = [facts_of_final(log.results) for log in logs.values()]
    return Audit(
        [
            *map(of_runs, PROBED),
            *ledgers(facts, [log.data["targets"] for log in logs.values()]),
            account([log.data.get("account") for log in logs.values()]),
            *budgets(list(_figures(folder).values())),
            *map(of_runs, PROVENANCE),
            referee([folder.config["evaluation"]]),
            *logs_hold(logs, digest(folder.script)),
            of_runs(SAME_DATA),
        ]
    )
