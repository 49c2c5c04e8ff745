"""The shard format: what is written is read back, and a damaged file is named."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from golf.data.shard import Shard, read_shard, shard_length, write_shard
from golf.errors import UserError


@given(tokens=arrays(np.int64, st.integers(0, 300), elements=st.integers(0, 65535)))
def test_round_trip(tmp_path_factory, tokens):
    path = tmp_path_factory.getbasetemp() / "round_trip.bin"
    write_shard(path, tokens)
    assert shard_length(path) == len(tokens)
    assert read_shard(path).dtype == np.uint16
    np.testing.assert_array_equal(read_shard(path), tokens)


def test_bytes_on_disk(tmp_path):
    path = tmp_path / "shard.bin"
    write_shard(path, np.array([1, 258, 65535]))
    content = path.read_bytes()
    assert content[:12] == struct.pack("<3i", 20240520, 1, 3)
    assert content[12:1024] == bytes(1012)
    assert content[1024:] == b"\x01\x00\x02\x01\xff\xff"


def test_a_part_is_read_when_it_is_asked_for(tmp_path):
    path = tmp_path / "shard.bin"
    write_shard(path, np.arange(10))
    shard = Shard(path)
    assert len(shard) == 10
    assert (shard[3:7].tolist(), shard[3:7].dtype) == ([3, 4, 5, 6], np.uint16)


def test_a_shard_that_is_cut_short_while_it_is_read_is_named(tmp_path):
    path = tmp_path / "shard.bin"
    write_shard(path, np.arange(10))
    shard = Shard(path)
    os.truncate(path, 1024 + 2 * 6)
    assert shard[2:6].tolist() == [2, 3, 4, 5]
    with pytest.raises(UserError, match=r"shard\.bin: ends at byte 1036 now; leave the data alone"):
        shard[4:8]


@pytest.mark.parametrize("token", [-1, 65536])
def test_a_token_that_does_not_fit_is_named_and_leaves_no_file(tmp_path, token):
    path = tmp_path / "shard.bin"
    with pytest.raises(UserError, match=rf"shard\.bin: token {token} at position 2"):
        write_shard(path, np.array([0, 1, token]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"\x00" + content[1:], r"magic \d+ at byte 0, should be 20240520"),
        (lambda content: content[:4] + b"\x02" + content[5:], "version 2 at byte 4"),
        (lambda content: content[:-1], r"10 tokens \(byte 8\) make 1044 bytes, but the file has 1043"),
        (lambda content: content + b"\x00\x00", "but the file has 1046"),
        (lambda content: content[:8] + struct.pack("<i", -512) + content[12:], "-512 tokens"),
        (lambda content: content[:100], "ends at byte 100"),
        (lambda content: b"", "ends at byte 0"),
    ],
)
@pytest.mark.parametrize("read", [Shard, read_shard, shard_length])
def test_damage_is_named(tmp_path, change, message, read):
    path = tmp_path / "shard.bin"
    write_shard(path, np.arange(10))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=rf"shard\.bin: .*{message}"):
        read(path)


def test_a_missing_shard_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.bin: cannot be read \(No such file"):
        read_shard(tmp_path / "nowhere.bin")


MANY = """
import resource, sys
from pathlib import Path
from golf.data.shard import Shard

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
others = [open("/dev/null") for _ in range(int(sys.argv[2]))]
shards = [Shard(Path(sys.argv[1], f"{i}.bin")) for i in range(100)]
print(sum(shard.file is not None for shard in shards), [shard[5:7].tolist() for shard in shards])
"""


def test_more_shards_than_files_that_may_be_open(tmp_path):
    for i in range(100):
        write_shard(tmp_path / f"{i}.bin", np.arange(i, i + 10))

    def read(others: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", MANY, str(tmp_path), str(others)]
        return subprocess.run(command, capture_output=True, text=True)

    for others, some_are_kept in ((0, True), (50, False)):
        kept, tokens = read(others).stdout.split(maxsplit=1)
        assert (0 < int(kept) < 32) == some_are_kept  # half of them are for others
        assert json.loads(tokens) == [[i + 5, i + 6] for i in range(100)]
    assert "Too many open files: this process may have 64, ulimit -n" in read(61).stderr
