"""The wheel as a user gets it: what it holds, and a class of one's own from an empty folder."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from textwrap import dedent

import pytest
from runs import FEW

from golf import __version__

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
MINE = """\
    from golf.quantizer.rtn import RoundToNearest
    from golf.kernels.rounding import round_to_codes


    class HalfSteps(RoundToNearest):
        \"\"\"Uses every other code only.\"\"\"

        def codes(self, weight, scale, bits, hessian, kernels):
            return 2 * round_to_codes(weight, 2 * scale[:, None], bits - 1)
    """
YAML = """\
    defaults: [rtn, _self_]
    _target_: mine.HalfSteps
    """


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(out), str(ROOT)], check=True)
    return next(out.glob("golf-*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed in it; first on the path, it hides any other installation."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True)
    return target


def test_the_wheel_ships_its_configuration_inside_the_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"golf"}
    in_checkout = {f"golf/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.*")}
    assert {name for name in names if name.startswith("golf/conf/")} == in_checkout
    assert {"golf/data/fixture/tokenizer.model", "golf/report/page.html", "golf/report/record.json"} <= set(names)
    assert "golf/py.typed" in names


def test_the_wheel_has_the_packages_version(wheel):
    (metadata,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA"))
    assert f"\nVersion: {__version__}\n" in zipfile.ZipFile(wheel).read(metadata).decode()


@pytest.mark.parametrize("start", [["-m", "golf"], None], ids=["module", "console_script"])
def test_a_quantizer_of_ones_own(site, tmp_path, start):
    (tmp_path / "mine.py").write_text(dedent(MINE))
    (tmp_path / "quantizer").mkdir()
    (tmp_path / "quantizer" / "mine.yaml").write_text(dedent(YAML))
    command = [sys.executable, *start] if start else [sys.executable, str(site / "bin" / "golf")]
    command += ["--config-dir", ".", "experiment=tiny", "quantizer=mine", "trainer.steps=2", *FEW]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (directory,) = (tmp_path / "multirun").glob("*/*")
    results = json.loads((directory / "results.json").read_text())
    assert results["choices"]["quantizer"] == "mine"
    assert json.loads((directory / "quantize.json").read_text())["config"]["quantizer"]["_target_"] == "mine.HalfSteps"
    assert results["provenance"]["git"] is None  # it ran from the wheel
