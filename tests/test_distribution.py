"""What is uploaded to PyPI: the wheel and the sdist, as `make dist` builds and checks them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from trove_classifiers import classifiers

import wlsmtp

pytestmark = pytest.mark.timeout(300)  # the first test builds the wheel and the sdist

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    run("build", "--no-isolation", "--outdir", str(directory), str(ROOT))
    return directory


def test_twine_and_check_wheel_contents_accept_them(built: Path) -> None:
    run("twine", "check", "--strict", *map(str, built.iterdir()))
    run("check_wheel_contents", *map(str, built.glob("*.whl")))


def test_the_wheel_is_typed_and_has_the_package_only(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "wlsmtp/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"wlsmtp", f"wlsmtp-{wlsmtp.__version__}.dist-info"}


def test_the_sdist_has_what_the_tests_and_the_site_need(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = ["tests/conftest.py", "docs/index.md", "mkdocs.yml", "scripts/site_hooks.py", "benchmarks/RESULTS.md"]
    assert set(needed) <= names
    assert not [name for name in names if ".work/" in name or ".venv" in name or name.startswith("build/")]


def test_version_and_classifiers_are_true() -> None:
    assert PROJECT["version"] == wlsmtp.__version__
    assert set(PROJECT["classifiers"]) <= classifiers
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {wlsmtp.__version__} (" in changelog or f"## [{wlsmtp.__version__}]" in changelog
