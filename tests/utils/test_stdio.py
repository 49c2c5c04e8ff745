"""Standard output and error fail nobody: real processes, whose output goes nowhere or has characters of all kinds."""

import io
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golf.utils.stdio import _Text

SPEAKER = """\
import os, sys
from golf.utils import stdio
stdio.protect()
stdio.protect()
print("caf\\udce9 \\u00e9", flush=True)
for _ in range(10000):
    print("more of it")
print(stdio.failure(sys.stdout), os.environ.get("COLUMNS"), file=sys.stderr)
"""


def speak(stdout, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SPEAKER]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=os.environ | environment)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_characters_that_an_encoding_lacks(encoding):
    done = speak(subprocess.PIPE, PYTHONIOENCODING=encoding, COLUMNS="0")
    assert (done.returncode, done.stderr) == (0, "None None\n")
    first, *lines = done.stdout.splitlines()
    assert first == r"caf\udce9 " + ("é" if encoding == "utf-8" else r"\xe9")
    assert lines == ["more of it"] * 10000


def test_a_pipe_without_a_reader_and_a_full_disk():
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as pipe, open("/dev/full", "w") as full:
        for stdout, reason in ((pipe, "Broken pipe"), (full, "No space left on device")):
            done = speak(stdout, COLUMNS="70")
            assert done.returncode == 0
            assert re.fullmatch(rf"\[Errno \d+\] {reason} 70\n", done.stderr)


def test_no_output_at_all():
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", sys.executable, "-c", SPEAKER], capture_output=True)
    assert closed.returncode == 0
    assert closed.stdout == b""


@given(st.lists(st.text("ab\n\r ", max_size=6)), st.sampled_from(["", "job  "]))
def test_every_line_begins_with_the_prefix(texts, prefix):
    written = io.BytesIO()
    stream = _Text(written, "utf-8", prefix)
    for text in texts:
        assert stream.write(text) == len(text)
    stream.flush()
    *lines, last = "".join(texts).split("\n")
    expected = [prefix + line for line in lines] + [prefix + last if last else ""]
    assert written.getvalue().decode() == "\n".join(expected)
