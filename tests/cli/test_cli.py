"""The command line as a whole: help, unknown words, and mistakes without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sgtm import __version__
from sgtm.cli import commands, make_parser


def test_every_command_has_help_and_a_first_line(sgtm):
    done = sgtm("--help")
    assert done.returncode == 0
    for name, module in commands().items():
        first_line = module.__doc__.strip().partition("\n")[0]
        assert name in done.stdout
        assert len(first_line) < 90
    for name in ("check", "info", "schema", "list", "new", "docs", "serve", "demo"):
        assert name in commands()


@pytest.mark.parametrize("name", sorted(commands()))
def test_a_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as ended:
        make_parser(name).parse_args([name, "--help"])
    assert ended.value.code == 0
    assert commands(name)[name].__doc__.strip().splitlines()[0] in capsys.readouterr().out


def test_the_version_is_printed(sgtm):
    assert sgtm("--version").stdout == f"sgtm {__version__}\n"


def test_an_unknown_command_is_told_what_there_is(sgtm):
    done = sgtm("chekc")
    assert done.returncode == 2
    assert "check" in done.stderr


def test_only_the_module_of_the_wanted_command_is_imported():
    assert list(commands("check")) == ["check"]
    assert len(commands("chekc")) > 5


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m sgtm schema | head -c 1; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{", "")


def test_the_command_line_can_be_run_twice_in_one_process():
    # `sgtm list` is a module of this package, and `list` is a word of the language
    program = "from sgtm.cli import main; main(['list']); raise SystemExit(main(['list']))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
