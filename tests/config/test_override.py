"""What golf prints as a command arrives, through the shell and Hydra, as the text that was meant."""

import os
import subprocess
import sys

from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from golf.config.override import hydra_value, override
from golf.resume.command import resume_command
from golf.utils.shell import quote

NASTY = "/a b?q{a}'%[x]ü=1,2\"\\${y}\\"
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def typed(command: str) -> list[bytes]:
    """The arguments that bash makes of it."""
    printing = "import os, sys; [print(os.fsencode(argument).hex()) for argument in sys.argv[1:]]"
    line = f"{quote(sys.executable)} -c {quote(printing)} {command}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    return [bytes.fromhex(argument) for argument in done.stdout.splitlines()]


@settings(max_examples=300)
@example(NASTY)
@example("null")
@example("~/x")
@example("\\\\${a}")
@given(words)
def test_hydra_takes_a_value_for_the_text_it_is(text):
    parsed = OverridesParser.create().parse_override(f"input={hydra_value(text)}")
    assert not parsed.is_sweep_override()
    if text != "???":  # a missing value, however it is quoted
        assert OmegaConf.create({"input": parsed.value()}).input == text


def test_a_shell_takes_a_word_for_the_text_it_is():
    texts = [NASTY, "", "-x", "~", "!x", "a\nb\t\x1b[2J'", "caf\udce9", "ü", "a`b`$(c)", "\x07f"]
    assert typed(" ".join(map(quote, texts))) == [os.fsencode(text) for text in texts]


def test_half_of_a_surrogate_pair_is_quoted_too():
    """As JSON may have it; no file's name has."""
    assert quote("\ud800") == r"$'\xed\xa0\x80'"


def test_a_plain_path_needs_no_quotes():
    path = "multirun/2026-11-23/10-15-00-2/seed-1-1f0c77a2"
    assert override("input", path) == f"input={path}"
    assert resume_command(path) == f"golf resume {path}"


def test_a_command_is_one_that_can_be_pasted():
    assert typed(override("input", NASTY)) == [f"input={hydra_value(NASTY)}".encode()]
    assert typed(resume_command(NASTY).removeprefix("golf ")) == [b"resume", NASTY.encode()]
