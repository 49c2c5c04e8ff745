"""Shaking leaves out what is not reached, and what is left does the same."""

import subprocess
import sys
from collections.abc import Callable
from textwrap import dedent

import pytest

from golf.pack.shake import shaken

MODULES = {
    "shake_errors": """\
        def require(holds, words):
            if not holds:
                raise ValueError(words)
        """,
    "shake_base": """\
        from dataclasses import dataclass
        from typing import ClassVar

        LIMIT = 3
        UNUSED = 4

        class Base:
            kind: ClassVar[str]
            def run(self):
                return self.part() + LIMIT
            def check(self):
                return "words that nobody reads"

        @dataclass
        class Point:
            x: "int" = 1
            def moved(self):
                return Point(self.x + 1)
            def never(self):
                return other()

        def other():
            return 5
        """,
    "shake_main": """\
        import collections
        import json
        from shake_base import Base, Point, other

        class Mine(Base, collections.UserDict):
            kind = "mine"
            def part(self):
                total = 0
                for i in range(4):
                    total = total + i
                return total
            def __missing__(self, key):
                return key
            def keys(self):
                return ["called by a base of somebody else's"]
            def unused(self):
                return json.dumps({})

        def main():
            mine = Mine()
            if mine["a"] != "a":
                raise ValueError(f"{mine} is wrong")
            return [mine.run(), Point().moved().x, list(mine.keys())]
        """,
}


@pytest.fixture
def small(tmp_path, monkeypatch) -> dict[str, str]:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    return shaken({name: dedent(text) for name, text in MODULES.items()}, "shake_main", [], ["main"])


def test_what_is_left_does_the_same(small, tmp_path):
    results = []
    for name, sources in {"whole": {k: dedent(v) for k, v in MODULES.items()}, "small": small}.items():
        (tmp_path / name).mkdir()
        for module, text in sources.items():
            (tmp_path / name / f"{module}.py").write_text(text)
        command = [sys.executable, "-c", "import shake_main; print(shake_main.main())"]
        done = subprocess.run(command, cwd=tmp_path / name, capture_output=True, text=True, check=True)
        results.append(done.stdout)
    assert results[0] == results[1] == '[9, 2, ["called by a base of somebody else\'s"]]\n'


def test_what_is_not_reached_is_gone(small):
    text = "\n".join(small.values())
    for gone in ("UNUSED", "check", "unused", "json", "other", "never", "is wrong", "ClassVar"):
        assert gone not in text, gone
    assert "__missing__" in text
    assert small.keys() == {"shake_base", "shake_main"}


def test_checks_of_the_configuration_go_and_nothing_else():
    errors = "from golf.errors import require\n"
    body = """\
        def main(values):
            for value in values:
                size = value * 2
                require(size > 0, f"{size} is too small")
            x = 1
            for i in range(3):
                x = x * 2
            for group in values:
                group["a"] = 1
            require(x > 0, "no")
            return x
        """
    text = shaken({"m": errors + dedent(body)}, "m", [], ["main"])["m"]
    assert "require" not in text
    assert text.count("for ") == 2
    own = shaken({"m": "def require(a, b):\n    assert a\n" + dedent(body)}, "m", [], ["main"])["m"]
    assert own.count("require(") == 3
    assert "too small" not in own


@pytest.fixture
def shake_one(tmp_path, monkeypatch) -> Callable[..., str]:
    """Shakes a module alone, which must be there to be imported."""

    def one(text: str, *off: str) -> str:
        (tmp_path / "shake_alone.py").write_text(dedent(text))
        return shaken({"shake_alone": dedent(text)}, "shake_alone", [], ["main"], off)["shake_alone"]

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shake_alone", raising=False)
    return one


def test_values_that_nothing_reads_go_and_calls_stay(shake_one):
    small = shake_one("""\
        def main(stream, found):
            first, words = stream.first, {"a": stream.words}
            told = f"{stream.name} is gone" if stream.over else "gone"
            sizes = {"width": stream.width}
            sizes |= {"height": stream.height}
            if stream.over:
                told = ""
            lines = stream.read()
            item = found["key"]
            class Local:
                kept = 1
            def inner():
                nonlocal lines
                lines = 3
            return Local, first, inner
        """)
    for gone in ("told", "sizes"):
        assert gone not in small, gone
    for kept in ("first, words =", "lines = stream.read()", "item = found", "kept = 1", "lines = 3"):
        assert kept in small, kept


def test_members_are_reached_after_a_dot_or_within_their_class(shake_one):
    small = shake_one("""\
        class Part:
            groups = ("a", "b")
            first = 1
            second = first + 1
            def facts(self):
                return self.second
            def state_dict(self):
                return self._state
            def helped(self):
                return 3
            helper = property(helped)

        def main(groups, position):
            facts = groups, position
            return Part().facts(), Part().helper, facts
        """)
    for gone in ("'a'", "def position"):
        assert gone not in small, gone
    for kept in ("first = 1", "second = first", "def facts", "def helped", "helper ="):
        assert kept in small, kept


def test_what_is_switched_off_or_abstract_goes(shake_one):
    text = """\
        from abc import ABC, abstractmethod

        class Part(ABC):
            @abstractmethod
            def work(self): ...
            @abstractmethod
            def close(self):
                self.file.close()

        def wanted():
            return True

        def main(part):
            if wanted():
                return never()
            if part.is_wanted():
                return part.never()
            if part and wanted():
                return part.never()
            return [part.work(), part.close(), Part]
        """
    small = shake_one(text, "wanted", "is_wanted")
    for gone in ("never", "def wanted", "def work"):
        assert gone not in small, gone
    assert "self.file.close()" in small


def test_a_class_on_what_is_not_installed_keeps_its_members(shake_one):
    small = shake_one("""\
        from not_installed import Base

        class Kernel(Base):
            port = "sink"

            def run(self):
                return 1

        def main():
            return Kernel
        """)
    assert "def run" in small
    assert "port = 'sink'" in small


def test_a_module_keeps_what_it_offers_if_somebody_asks_for_it():
    sources = {
        "shake_front": "from shake_back import asked, unasked\n__all__ = ['asked', 'unasked']",
        "shake_back": "def asked(): return 1\ndef unasked(): return 2",
        "shake_user": "import shake_front\ndef main(): return shake_front.asked()",
    }
    small = shaken(sources, "shake_user", [], ["main"])
    assert small["shake_front"] == "from shake_back import asked"
    assert "unasked" not in small["shake_back"]
