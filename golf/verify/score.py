"""Does the artifact reach the score in its log? Runs the submission's own script."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from golf.data.accounting import Accountant
from golf.data.dataset import Dataset
from golf.data.shards import Shards
from golf.errors import UserError, require
from golf.events import Listener
from golf.io.limits import RECORD_MARGIN_NATS
from golf.io.run_directory import ARTIFACT
from golf.submit.evidence import ScriptLog, read_log
from golf.submit.folder import SCRIPT
from golf.utils.hashing import sha256
from golf.verify.artifact import made_by
from golf.verify.finding import Finding, compare, judged
from golf.verify.logs import SCORE
from golf.verify.submission_folder import SubmissionFolder

TOLERANCE = RECORD_MARGIN_NATS / 10  # nats per token, and bits per byte: rounding of other devices and versions


def repeated_score(folder: SubmissionFolder) -> Iterator[Finding]:
    """Repeat all passes over the validation stream, in a separate process with copies of script and artifact.

    On a CPU with the same torch and the same number of processes the scores must be equal to the last bit; elsewhere
    they may differ by TOLERANCE. The script reports on itself here: trust it only if its modules are golf's.
    """
    seed, log = made_by(folder)
    if folder.data is None:
        yield Finding("score", "not checked", "needs the shards that were scored: --data DIR")
        return
    try:
        data = _data(folder, log, folder.data)
    except UserError as error:
        yield Finding("score", "not checked", f"these are not the data of log {seed}: {error}")
        return
    tokens = data.validation(folder.config["model"]["seq_len"])
    account = Accountant(data.tokenizer).of_stream(tokens, data.byte_table.target_bytes(tokens))
    yield from compare("score: bytes", account, log.data["account"])
    again = _evaluated(folder, seed, log.machine["ranks"], folder.data)
    exact = again.machine == log.machine and not torch.cuda.is_available()
    allowed = 0.0 if exact else TOLERANCE
    apart = list(_differences(log, again))
    how = f"{max(apart):.2g} off" if any(apart) else "to the last bit"
    where = f"on {again.machine['ranks']}×{again.machine['device']} with torch {again.machine['torch']}"
    seen = f"that of log {seed} {how}, {where}; {allowed:.2g} allowed"
    yield judged("score", all(difference <= allowed for difference in apart), seen)


def _data(folder: SubmissionFolder, log: ScriptLog, directory: Path) -> Dataset:
    """Open the data that the log names. Raises UserError unless the digests match."""
    data = folder.config["data"]
    same = {key: data[key] for key in ("train_glob", "val_glob", "val_tokens", "order")}
    tokenizer = str(directory / data["tokenizer"])
    found = Shards(path=str(directory), tokenizer=tokenizer, seed=None, **same).open(Listener())
    require(sha256(found.tokenizer) == log.data["tokenizer"], f"{tokenizer} has another digest")
    val = [sha256(file) for file in found.val_files]
    require(val == log.data["val"], f"the shards {data['val_glob']} in {directory} have other digests")
    return found


def _evaluated(folder: SubmissionFolder, seed: int, ranks: int, data: Path) -> ScriptLog:
    """The log of `train_gpt.py --evaluate`, run by `ranks` processes if this machine has that many devices, or by one.

    Raises UserError if the script fails.
    """
    devices = torch.cuda.device_count() or os.cpu_count() or 1
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"]
    with TemporaryDirectory() as temporary:
        for name in (SCRIPT, ARTIFACT):
            shutil.copy(folder.path(name), temporary)
        command = [sys.executable, *(torchrun if 1 < ranks <= devices else []), SCRIPT, "--seed", str(seed)]
        command += ["--data", str(data.resolve()), "--evaluate", ARTIFACT]
        done = subprocess.run(command, cwd=temporary, capture_output=True, text=True, errors="replace")
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        require(done.returncode == 0, f"{SCRIPT} --evaluate ended with exit code {done.returncode}: {last}")
        return read_log(Path(temporary, "evaluate.log"))


def _differences(log: ScriptLog, again: ScriptLog) -> Iterator[float]:
    """Absolute differences of the final score and of the passes before it."""
    if log.score is None or again.score is None:
        raise UserError(f"{SCRIPT} --evaluate ended without a score")
    pairs = [(log.score, again.score)]
    pairs += [(log.results["evaluate"][name], again.results["evaluate"][name]) for name in ("quantized", "sliding")]
    for one, other in pairs:
        yield from (abs(one[key] - other[key]) for key in SCORE)
