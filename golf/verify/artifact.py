"""Is the artifact what a log says that its run made?"""

from collections.abc import Iterator

from golf.errors import UserError
from golf.io.artifact import BUILT_IN_CODECS, bytes_per_tensor, read_artifact
from golf.io.run_directory import ARTIFACT
from golf.submit.evidence import ScriptLog
from golf.utils.hashing import sha256
from golf.verify.finding import Finding, compare, shown
from golf.verify.handed import SubmissionFolder
from golf.verify.logs import artifact_digest


def artifact(handed: SubmissionFolder) -> Iterator[Finding]:
    """Its digest and size, what it decodes to, and for whom it was made. Nothing of it is run."""
    path, config = handed.path(ARTIFACT), handed.config
    seed, log = made_by(handed)
    yield Finding("artifact", "held", f"its digest is that of log {seed}")
    for stage in ("quantize", "evaluate"):
        yield from compare(f"artifact: bytes, {stage}", path.stat().st_size, log.results[stage]["artifact_bytes"])
    if config["codec"]["_target_"] not in BUILT_IN_CODECS.values():
        own = shown(config["codec"]["_target_"])
        yield Finding("artifact: tensors", "not checked", f"only its own codec decodes it: {own}")
        return
    read = read_artifact(path)
    name = read.codec["name"]
    codec = {"_target_": BUILT_IN_CODECS.get(name, name), **read.codec["params"]}
    yield from compare("artifact: tensors", bytes_per_tensor(read.state), log.results["quantize"]["bytes_per_tensor"])
    yield from compare("artifact: codec", codec, config["codec"])
    yield from compare("artifact: model", read.model, config["model"])
    yield from compare("artifact: tokenizer", read.tokenizer_sha256, log.data["tokenizer"])


def made_by(handed: SubmissionFolder) -> tuple[int, ScriptLog]:
    """The seed and the log whose run made the artifact. Raises UserError if there is none."""
    digest = sha256(handed.path(ARTIFACT))
    for seed, log in handed.logs.items():
        if artifact_digest(log) == digest:
            return seed, log
    raise UserError(f"{ARTIFACT}: no log is of a run that made it")
