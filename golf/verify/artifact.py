"""Is the artifact the one that a log's run wrote?"""

from collections.abc import Iterator

from golf.errors import UserError
from golf.io.artifact import BUILT_IN_CODECS, bytes_per_tensor, read_artifact
from golf.io.run_directory import ARTIFACT
from golf.submit.evidence import ScriptLog
from golf.utils.hashing import sha256
from golf.verify.finding import Finding, compare, shown
from golf.verify.logs import artifact_digest
from golf.verify.submission_folder import SubmissionFolder


def artifact(folder: SubmissionFolder) -> Iterator[Finding]:
    """Check digest, size, decoded tensors, codec, model and tokenizer. No code of the submission is run."""
    path, config = folder.path(ARTIFACT), folder.config
    seed, log = made_by(folder)
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


def made_by(folder: SubmissionFolder) -> tuple[int, ScriptLog]:
    """The seed and the log of the run that made the artifact. Raises UserError if no log matches."""
    digest = sha256(folder.path(ARTIFACT))
    for seed, log in folder.logs.items():
        if artifact_digest(log) == digest:
            return seed, log
    raise UserError(f"{ARTIFACT}: no log belongs to a run that made it")
