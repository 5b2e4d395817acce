"""The rules that all tests run under hold."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


async def test_no_test_reaches_another_machine() -> None:
    with pytest.raises(socket.gaierror):
        await asyncio.open_connection("www.google-analytics.com", 443)
    with pytest.raises(OSError, match="loopback only"):
        await asyncio.open_connection("192.0.2.1", 443)
    with socket.socket() as client, pytest.raises(OSError, match="loopback only"):
        client.connect_ex(("192.0.2.1", 443))


def test_golden_files_are_not_rewritten_in_ci() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--update-golden",
        "--collect-only",
        "-q",
        "tests/test_conftest.py",
    ]
    result = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "CI": "true"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "reads the diff" in result.stderr
