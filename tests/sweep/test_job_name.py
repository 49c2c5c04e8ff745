"""Names of jobs: safe, short, telling, and no two the same; and what they have in common."""

import os
import re
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from golf.sweep.job_name import job_name, variant

overrides = st.lists(
    st.from_regex(r"\+{0,2}[a-z]{1,9}(\.[a-z_]{1,20})?=.{0,60}", fullmatch=True), max_size=6, unique=True
)


@given(overrides)
def test_any_name_is_a_file_name_that_needs_no_quotes(asked):
    name = job_name(asked)
    assert len(os.fsencode(name)) <= 109
    assert not name.startswith(("-", "."))
    assert shlex.quote(name) == name
    assert OverridesParser.create().parse_override(f"input=sweep/{name}").value() == f"sweep/{name}"


@given(overrides, overrides)
def test_another_job_has_another_name(one, two):
    assert (job_name(one) == job_name(two)) == (one == two)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["seed=42", "ttt.epochs=0"], "seed-42_ttt.epochs-0-"),
        (
            [
                "seed=1",
                "data.path=/a/b",
                "launch.nproc_per_node=8",
                "sweep.objectives=[val_loss]",
                "hydra.launcher.n_jobs=2",
            ],
            "seed-1-",
        ),
        (["stages=[train,quantize]"], "stages-train-quantize-"),
        (["+a.b=-1", "~ttt", "c=ü x"], "+a.b-1_ttt_c-x-"),
        (["+x=caf\udce9"], "+x-caf-"),  # a byte of a path that is no UTF-8
        ([], ""),
    ],
)
def test_what_a_name_says(asked, said):
    assert re.fullmatch(re.escape(said) + "[0-9a-f]{8}", job_name(asked))


def test_where_a_job_runs_is_not_in_its_name():
    assert job_name(["sweep=grid", "seed=1", "hydra.launcher.n_jobs=8", "overwrite=true"]) == job_name(["seed=1"])
    assert job_name(["seed=1", "launch.nproc_per_node=1"]) != job_name(["seed=1", "launch.nproc_per_node=2"])
    assert job_name(["seed=1", "data.path=/a"]) != job_name(["seed=1", "data.path=/b"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["ttt.epochs=0", "seed=42", "data.path=/a/b"], "ttt.epochs=0 data.path=/a/b"),
        (["seed=1", "+data.seed=2", "~ttt", "launch.nproc_per_node=8"], "+data.seed=2 ~ttt launch.nproc_per_node=8"),
        (
            ["seed=1", "hydra/launcher=joblib", "sweep.objectives=[val_loss]", "tracker.mode=offline", "cache=off"],
            "defaults",
        ),
    ],
)
def test_a_variant_is_all_that_is_tried_whatever_the_seed(asked, said):
    assert variant(asked) == said
