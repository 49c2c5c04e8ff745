"""The cache: built once, whole or absent, one builder at a time. Processes are real."""

import json
import multiprocessing
import os
import signal
import time

import pytest

from golf.cache.entries import MANIFEST, Entry, cached


def build_once(directory):
    (directory / "a").write_text("content of a")
    (directory / "b").write_text("content of b")


def never(directory):
    raise AssertionError("built again")


def test_a_second_call_builds_nothing(tmp_path):
    entry = cached(tmp_path / "root", "key", build_once)
    assert entry == tmp_path / "root" / "key"
    assert cached(tmp_path / "root", "key", never) == entry
    assert (entry / "a").read_text() == "content of a"


def _truncate(entry):
    (entry / "a").write_text("content")


def _change(entry):
    (entry / "a").write_text("Content of a")


def _remove(entry):
    (entry / "b").unlink()


def _remove_manifest(entry):
    (entry / MANIFEST).unlink()


def _cut_manifest(entry):
    (entry / MANIFEST).write_text((entry / MANIFEST).read_text()[:-5])


@pytest.mark.parametrize("damage", [_truncate, _change, _remove, _remove_manifest, _cut_manifest])
def test_a_damaged_entry_is_built_again(tmp_path, damage):
    damage(cached(tmp_path, "key", build_once))
    entry = cached(tmp_path, "key", build_once)
    assert {file.name for file in entry.iterdir()} == {"a", "b", MANIFEST}
    assert (entry / "a").read_text() == "content of a"
    cached(tmp_path, "key", never)


def test_a_build_that_fails_leaves_nothing_and_can_be_repeated(tmp_path):
    def half(directory):
        (directory / "a").write_text("half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        cached(tmp_path, "key", half)
    assert [file.name for file in tmp_path.iterdir() if not file.name.endswith(".lock")] == []
    assert set(json.loads((cached(tmp_path, "key", build_once) / MANIFEST).read_text())) == {"a", "b"}


def test_a_killed_build_is_repeated(tmp_path):
    def killed(directory):
        (directory / "left over").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=cached, args=(tmp_path, "key", killed))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    entry = cached(tmp_path, "key", build_once)
    assert {file.name for file in entry.iterdir()} == {"a", "b", MANIFEST}
    assert {file.name for file in tmp_path.iterdir()} == {"key", ".key.lock"}


def test_processes_at_once_build_it_once(tmp_path):
    def slow(directory):
        (tmp_path / f"built by {os.getpid()}").touch()
        time.sleep(0.3)
        build_once(directory)

    def call(barrier):
        barrier.wait()
        assert (cached(tmp_path / "root", "key", slow) / "b").read_text() == "content of b"

    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [context.Process(target=call, args=(barrier,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(list(tmp_path.glob("built by *"))) == 1


@pytest.mark.parametrize("manifest", ["[]", '{"a": 3}', '{"../other": "x"}', '{"/dev/zero": "x"}', "[" * 10**5])
def test_a_manifest_of_another_form_is_no_entry(tmp_path, manifest):
    entry = cached(tmp_path, "key", build_once)
    (entry / MANIFEST).write_text(manifest)
    assert not Entry(entry).is_whole()
