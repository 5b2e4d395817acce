"""sgtm new: what it writes works as it is, in a copy of the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the source, with the shortest and the longest name scaffolded for each kind."""
    copy = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__", "*.c", "golden", "vectors")
    for name in ("sgtm", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("clients", "tags", "variables"):
        (copy / "tests/golden" / name).mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", copy)
    for kind in ("tag", "client", "variable"):
        for name in ("zz", "z" * 40):
            run(copy, "-m", "sgtm", "new", kind, name)
    return copy


def run(folder, *words):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def scaffolds(checkout):
    return [
        path for kind in ("clients", "tags", "variables") for path in (checkout / "sgtm" / kind).glob("z*.py")
    ]


def test_the_scaffolds_are_clean_under_ruff(checkout):
    run(checkout, "-m", "ruff", "check", "--config", "pyproject.toml", *scaffolds(checkout))
    run(checkout, "-m", "ruff", "format", "--check", "--config", "pyproject.toml", *scaffolds(checkout))


def test_the_scaffolds_are_clean_under_strict_mypy(checkout):
    run(checkout, "-m", "mypy", "--strict", "--follow-imports=silent", *scaffolds(checkout))


def test_the_scaffolds_pass_the_golden_runner(checkout):
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_golden.py", "-k", "zz"]
    shown = run(checkout, *words)
    assert "passed" in shown
    assert "failed" not in shown


def test_nothing_is_overwritten(sgtm, checkout):
    before = (checkout / "sgtm/tags/zz.py").read_text()
    done = sgtm("new", "tag", "zz", cwd=checkout)
    assert done.returncode == 2
    assert "there already" in done.stderr
    assert (checkout / "sgtm/tags/zz.py").read_text() == before
    (checkout / "tests/golden/tags/only_golden.yaml").write_text("[]\n")
    assert sgtm("new", "tag", "only_golden", cwd=checkout).returncode == 2
    assert not (checkout / "sgtm/tags/only_golden.py").exists()


@pytest.mark.parametrize("name", ["Acme", "acme-tag", "1acme", "class", "../acme", "", "a" * 41])
def test_a_bad_name_is_refused(sgtm, checkout, name):
    done = sgtm("new", "tag", name, cwd=checkout)
    assert done.returncode == 2
    assert "not a good name" in done.stderr


def test_a_type_or_alias_that_exists_is_refused(sgtm, checkout):
    done = sgtm("new", "client", "mpaw_client", cwd=checkout)
    assert done.returncode == 2
    assert "sgtm.clients.measurement_protocol" in done.stderr


def test_outside_of_a_checkout_it_says_so(sgtm):
    done = sgtm("new", "tag", "acme")
    assert done.returncode == 2
    assert "not a source checkout" in done.stderr
