"""Are the files those that were handed in?"""

from collections.abc import Iterator

from golf.errors import UserError
from golf.submit.folder import SUBMISSION
from golf.utils.hashing import sha256
from golf.verify.finding import Finding, compare
from golf.verify.handed import SubmissionFolder


def files(handed: SubmissionFolder) -> Iterator[Finding]:
    """All that belong to a submission, nothing else, each with the digest that submission.json says."""
    belong = handed.names
    found = [path for path in handed.folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    for name in sorted({path.relative_to(handed.folder).as_posix() for path in found} - {*belong, SUBMISSION}):
        yield Finding(f"file {name}", "failed", "belongs to no submission of these seeds")
    stated = handed.submission.get("files", {})
    for name in belong:
        try:
            yield from compare(f"file {name}", sha256(handed.path(name)), stated.get(name))
        except UserError as error:
            yield Finding(f"file {name}", "failed", str(error).removeprefix(f"{name}: "))
    for name in sorted(stated.keys() - set(belong)):
        yield Finding(f"file {name}", "failed", f"{SUBMISSION} has its digest, and it belongs to no submission")
