"""What a worker leaves for the launcher."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPORT = """\
import resource, signal, sys
from golf.launch.worker import report
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1))
report(ArithmeticError("one and one are three"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 40, 100_000])
def test_an_error_is_told_whole_or_not_at_all(tmp_path: Path, room: int) -> None:
    # What cuts the writing short is a limit here; else it is the launcher, which ends the ranks that did not fail first
    # and then reads what they left.
    file = tmp_path / "error.json"
    environment = {"TORCHELASTIC_ERROR_FILE": str(file), "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", REPORT, str(room)], env=environment, capture_output=True, check=False)
    assert file.exists() == (room == 100_000)
    if file.exists():
        assert json.loads(file.read_text())["message"]["message"] == "ArithmeticError: one and one are three"
