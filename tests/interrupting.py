"""Ctrl-C in a command, as a terminal sends it: to every process of its group."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from golf.resume.signals import INTERRUPTED


def interrupted(cwd: Path, *arguments: str, after: str, times: int = 1) -> subprocess.CompletedProcess[str]:
    """Run golf and interrupt it once it has printed a line with `after`, and again when it has said that it waits."""

    def heard() -> None:  # also where the tests run in the background, which ignores it
        signal.signal(signal.SIGINT, signal.default_int_handler)

    command = [sys.executable, "-m", "golf", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=cwd, start_new_session=True, preexec_fn=heard, **pipes) as job:
        try:
            printed = []
            for line in job.stdout:
                printed.append(line)
                if after in line:
                    break
            os.killpg(job.pid, signal.SIGINT)
            told = ""
            for _ in range(times - 1):
                while INTERRUPTED not in told:
                    told += job.stderr.readline()
                os.killpg(job.pid, signal.SIGINT)
            rest, errors = job.communicate(timeout=60)
            for _ in range(200):  # nobody is left of the group, be it after a while
                os.killpg(job.pid, 0)
                time.sleep(0.05)
            pytest.fail("somebody is left")
        except ProcessLookupError:
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, job.returncode, "".join(printed) + rest, told + errors)
