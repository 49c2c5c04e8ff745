"""Is the script made of this package, and of nothing else?"""

from collections.abc import Iterator

from golf.errors import UserError
from golf.pack.pack import GROUPS, modules
from golf.submit.folder import REQUIREMENTS, SCRIPT, packed_by, requirements
from golf.verify.finding import Finding, compare
from golf.verify.handed import SubmissionFolder


def script(handed: SubmissionFolder) -> Iterator[Finding]:
    """Whether it does nothing but extract modules and run them; and whether they are those of this package."""
    yield Finding(SCRIPT, "held", f"unpacked and not run: {len(handed.sources)} modules and a configuration")
    yield _package(handed)


def _package(handed: SubmissionFolder) -> Finding:
    name = f"{SCRIPT}: modules"
    targets = [handed.config[group]["_target_"] for group in (*GROUPS, "data")]
    own = [target for target in targets if not target.startswith("golf.")]
    if own:
        return Finding(name, "not checked", f"classes of its own; read them: {', '.join(own)}")
    try:
        ours = modules(handed.config)
    except UserError:  # a module that this version has not
        ours = {}
    if ours == handed.sources:
        return Finding(name, "held", "those of this package, packed again")
    if not same_version(handed):
        return Finding(name, "not checked", "another version of golf, Python or python-minifier packed them")
    both = ours.keys() | handed.sources.keys()
    wrong = sorted(module for module in both if ours.get(module) != handed.sources.get(module))
    return Finding(name, "failed", f"packed again, they differ: {', '.join(wrong)}")


def same_version(handed: SubmissionFolder) -> bool:
    """Whether, as submission.json says, what is installed here packed the script and wrote the texts."""
    return handed.submission.get("packed_by") == packed_by()


def requirement_list(handed: SubmissionFolder) -> Iterator[Finding]:
    """requirements.txt, as far as script and logs know: which packages, and the version of torch."""
    stated = dict(line.split("==") for line in handed.text(REQUIREMENTS).splitlines())
    log = next(iter(handed.logs.values()))
    seen = dict(line.split("==") for line in requirements(handed.sources, stated | {"torch": log.machine["torch"]}))
    known = {name: seen[name] if name == "torch" else stated.get(name) for name in seen}
    yield from compare(REQUIREMENTS, known, stated)
    rest = ", ".join(name for name in seen if name != "torch")
    yield Finding(f"{REQUIREMENTS}: versions", "not checked", f"the logs do not name those of {rest}")
