"""Are the files those that were submitted?"""

from collections.abc import Iterator

from golf.errors import UserError
from golf.submit.folder import SUBMISSION
from golf.utils.hashing import sha256
from golf.verify.finding import Finding, compare
from golf.verify.submission_folder import SubmissionFolder


def files(folder: SubmissionFolder) -> Iterator[Finding]:
    """Check that exactly a submission's files are there, each with its digest in submission.json."""
    belong = folder.names
    found = [path for path in folder.root.rglob("*") if path.is_symlink() or not path.is_dir()]
    for name in sorted({path.relative_to(folder.root).as_posix() for path in found} - {*belong, SUBMISSION}):
        yield Finding(f"file {name}", "failed", "belongs to no submission of these seeds")
    stated = folder.submission.get("files", {})
    for name in belong:
        try:
            yield from compare(f"file {name}", sha256(folder.path(name)), stated.get(name))
        except UserError as error:
            yield Finding(f"file {name}", "failed", str(error).removeprefix(f"{name}: "))
    for name in sorted(stated.keys() - set(belong)):
        yield Finding(f"file {name}", "failed", f"{SUBMISSION} has its digest, and it belongs to no submission")
