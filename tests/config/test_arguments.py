"""Options that Hydra does not have."""

import pytest

from golf.config.arguments import check_arguments
from golf.errors import UserError


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--ttt.lr=0.1", "--seed=1"], r"^--ttt\.lr=0\.1: .* give ttt\.lr=0\.1 .*\$\{args_no_hyphens\}"),
        (["seed=1", "-m", "ttt.lr=0.1"], r"^ttt\.lr=0\.1: stands behind an option"),
        (["--frobnicate"], "^--frobnicate: no such option"),
        (["--cfg"], "--cfg/-c: expected one argument"),
        (["--cfg", "yaml"], "invalid choice: 'yaml'"),
        (["--config=x"], "ambiguous option"),
    ],
)
def test_what_hydra_would_refuse_is_one_line(arguments, problem, capsys):
    with pytest.raises(UserError, match=problem) as caught:
        check_arguments(arguments)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_what_hydra_takes():
    for line in (
        "",
        "-m seed=1,2 ~ttt +a=b",
        "--cfg job seed=1",
        "--config-dir own --multirun",
        "--help",
        "--info all",
    ):
        check_arguments(line.split())
