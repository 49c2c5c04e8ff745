"""A share of the fuzzer; `tests/fuzz/run.py` gives the rest."""

import pytest
from fuzz.harness import failures
from fuzz.readers import READERS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_refused_in_one_line(name, tiny_submission):
    """Or mean something: no traceback, no more than 5 s, no more than 1 GiB."""
    _, share = READERS[name]
    assert failures(name, tiny_submission, 0, range(round(24 * share))) == []
