"""A class of the user's own that refuses a value: one line, and the whole traceback for those who ask."""

from pathlib import Path
from textwrap import dedent

import pytest
from command import golf

MINE = """\
    from golf.quantizer.none import NoQuantizer


    class Picky(NoQuantizer):
        def __init__(self, *, widths: list[int]):
            first, second = widths
    """
LINE = "golf: error: picky.Picky: not enough values to unpack (expected 2, got 1)\n"


@pytest.mark.slow
@pytest.mark.parametrize("traceback_wanted", [False, True])
def test_a_value_that_a_class_refuses(tmp_path: Path, traceback_wanted: bool) -> None:
    (tmp_path / "picky.py").write_text(dedent(MINE))
    (tmp_path / "quantizer").mkdir()
    (tmp_path / "quantizer" / "picky.yaml").write_text("_target_: picky.Picky\nwidths: [3]\n")
    arguments = ("--config-dir", ".", "experiment=tiny", "quantizer=picky")
    done = golf(tmp_path, *arguments, HYDRA_FULL_ERROR=str(int(traceback_wanted)))
    assert done.returncode == 2
    assert done.stderr.endswith(LINE)
    assert (done.stderr == LINE) != traceback_wanted
    assert ('picky.py", line 6, in __init__' in done.stderr) == traceback_wanted
    assert ("first, second = widths" in done.stderr) == traceback_wanted
