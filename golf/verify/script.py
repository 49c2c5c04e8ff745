"""Does the script consist of this package's modules, and of nothing else?"""

from collections.abc import Iterator

from golf.errors import UserError
from golf.pack.pack import GROUPS, modules
from golf.submit.folder import REQUIREMENTS, SCRIPT, packed_by, requirements
from golf.verify.finding import Finding, compare
from golf.verify.submission_folder import SubmissionFolder


def script(folder: SubmissionFolder) -> Iterator[Finding]:
    """Check that the script only extracts modules and runs them, and that they are this package's."""
    yield Finding(SCRIPT, "held", f"unpacked and not run: {len(folder.sources)} modules and a configuration")
    yield _package(folder)


def _package(folder: SubmissionFolder) -> Finding:
    name = f"{SCRIPT}: modules"
    targets = [folder.config[group]["_target_"] for group in (*GROUPS, "data")]
    own = [target for target in targets if not target.startswith("golf.")]
    if own:
        return Finding(name, "not checked", f"custom classes; read them: {', '.join(own)}")
    try:
        ours = modules(folder.config)
    except UserError:  # a module that this version lacks
        ours = {}
    if ours == folder.sources:
        return Finding(name, "held", "those of this package, packed again")
    if not same_version(folder):
        return Finding(name, "not checked", "another version of golf, Python or python-minifier packed them")
    both = ours.keys() | folder.sources.keys()
    wrong = sorted(module for module in both if ours.get(module) != folder.sources.get(module))
    return Finding(name, "failed", f"packed again, they differ: {', '.join(wrong)}")


def same_version(folder: SubmissionFolder) -> bool:
    """Whether submission.json names the golf, Python and python-minifier installed here as the packers."""
    return folder.submission.get("packed_by") == packed_by()


def requirement_list(folder: SubmissionFolder) -> Iterator[Finding]:
    """Check requirements.txt as far as script and logs determine it: the packages, and torch's version."""
    stated = dict(line.split("==") for line in folder.text(REQUIREMENTS).splitlines())
    log = next(iter(folder.logs.values()))
    seen = dict(line.split("==") for line in requirements(folder.sources, stated | {"torch": log.machine["torch"]}))
    known = {name: seen[name] if name == "torch" else stated.get(name) for name in seen}
    yield from compare(REQUIREMENTS, known, stated)
    rest = ", ".join(name for name in seen if name != "torch")
    yield Finding(f"{REQUIREMENTS}: versions", "not checked", f"the logs do not name those of {rest}")
