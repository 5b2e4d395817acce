"""sgtm rollback, with a server of its own process (SPEC: requirements R288)."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from sgtm.container.compile import version_of
from sgtm.container.settings_file import read_configured
from sgtm.container.versions import Versions
from sgtm.server.audit import AuditTrail, user
from tests.container.google.exports import export

ROOT = Path(__file__).parents[2]
CONTAINER = """sgtm: 1
name: NAME
unclaimed_status: STATUS
clients: [{name: Orders, type: json, parameters: {paths: [/orders]}}]
"""


def text(status):
    return CONTAINER.replace("STATUS", str(status))


@pytest.fixture
def container(tmp_path):
    path = tmp_path / "container.yaml"
    path.write_text(text(401))
    return path


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def server(request, container, tmp_path):
    """A running server: `status()` is what it answers to what nobody claims."""
    words = ["serve", container, "--port", "0", "--admin-port", "0", "--host", "127.0.0.1"]
    words += ["--workers", request.param, "--outbox", "memory", "--data-folder", tmp_path / "data"]
    with subprocess.Popen(
        [sys.executable, "-m", "sgtm", *map(str, words), "--log-format", "json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        line = next(line for line in process.stderr if '"serving"' in line)
        url = line.partition('"url": "')[2].partition('"')[0]

        def status():
            try:
                return urllib.request.urlopen(f"{url}/x", timeout=10).status
            except urllib.error.HTTPError as error:
                return error.code

        def reload():
            process.send_signal(signal.SIGHUP)
            next(line for line in process.stderr if "the container was reloaded" in line)

        yield SimpleNamespace(status=status, reload=reload)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_the_version_before_serves_again_and_a_rollback_can_be_rolled_back(sgtm, container, server, tmp_path):
    def rollback(*words):
        done = sgtm("rollback", container, *words, "--data-folder", tmp_path / "data")
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    old, new = (version_of(text(status).encode()) for status in (401, 402))
    assert server.status() == 401
    container.write_text(text(402))
    server.reload()
    assert server.status() == 402
    assert rollback() == [
        f"{container}: version {old} is in the file again",
        f"the server serves version {old}",
    ]
    assert (container.read_text(), server.status()) == (text(401), 401)
    rollback("--to", new[:8])
    assert server.status() == 402
    assert [line.split()[0] for line in rollback("--list")] == [new, old]
    trail = AuditTrail(tmp_path / "data").entries()
    assert [(one.how, one.before, one.after) for one in trail] == [
        ("start", "", old),
        ("signal", old, new),
        ("rollback", new, old),
        ("rollback", old, new),
    ]
    assert {one.by for one in trail} == {user()}
    assert trail[1].changed == "changed container (unclaimed_status)"


def test_without_a_server_it_says_so_and_the_file_is_mended(sgtm, container, tmp_path):
    done = sgtm("rollback", container, "--list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "there is no earlier version" in sgtm("rollback", container).stderr
    unknown = sgtm("rollback", container, "--to", "abc")
    assert unknown.returncode == 2
    assert "there is no version 'abc'" in unknown.stderr


def test_a_version_whose_environment_is_gone_is_refused_and_nothing_changes(sgtm, container, tmp_path):
    versions = Versions(tmp_path / "sgtm-data")
    lost = text(401).replace("NAME", "${GONE}").encode()
    versions.keep(lost, "container.yaml")
    done = sgtm("rollback", container, "--to", version_of(lost))
    assert done.returncode == 2
    assert "the environment has no variable GONE" in done.stderr
    assert container.read_text() == text(401)
    listed = sgtm("rollback", container, "--list")
    assert listed.stdout.startswith(version_of(lost))


def test_the_file_alone_can_be_rolled_back(sgtm, container, tmp_path):
    versions = Versions(tmp_path / "sgtm-data")
    for seconds, status in enumerate((404, 401)):
        versions.keep(text(status).encode(), "container.yaml")
        os.utime(versions.find(version_of(text(status).encode())).path, (seconds, seconds))
    done = sgtm("rollback", container, "--no-reload")
    assert done.returncode == 0, done.stderr
    assert container.read_text() == text(404)


def kept(folder, path, seconds, settings=""):
    """Keep what the file says now, as the server does."""
    source = read_configured(path, settings)
    versions = Versions(folder)
    versions.keep(source, str(path))
    os.utime(versions.find(version_of(source)).path, (seconds, seconds))
    return version_of(source)


def test_the_templates_of_a_version_come_back_with_it(sgtm, container, tmp_path):
    template = tmp_path / "templates" / "a.tpl"
    template.parent.mkdir()
    container.write_text(
        text(401) + "custom_templates: [{name: A, types: [cvt_1_2], file: templates/a.tpl}]\n"
    )
    written = container.read_text()
    old, new = (f"___SANDBOXED_JS_FOR_SERVER___\n\n// {word}\n" for word in ("old", "new"))
    for seconds, code in enumerate((old, new)):
        template.write_text(code)
        kept(tmp_path / "sgtm-data", container, seconds)
    done = sgtm("rollback", container, "--no-reload")
    assert done.returncode == 0, done.stderr
    assert (template.read_text(), container.read_text()) == (old, written)


def test_an_export_with_a_settings_file_goes_back_by_one_and_stays_an_export(sgtm, tmp_path):
    path, settings = tmp_path / "GTM-1.json", tmp_path / "sgtm.yaml"
    settings.write_text("container: {unclaimed_status: 404}\n")
    path.write_bytes(export(tag=[{"name": "Old", "type": "sgtmgaaw"}]))
    old = kept(tmp_path / "sgtm-data", path, 1, settings)
    path.write_bytes(export(tag=[{"name": "New", "type": "sgtmgaaw"}]))
    kept(tmp_path / "sgtm-data", path, 2, settings)
    done = sgtm("rollback", path, "--settings", settings, "--no-reload")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{path}: version {old} is in the file again"]
    assert b'"Old"' in path.read_bytes()
    assert b"unclaimed_status" not in path.read_bytes(), "that stands in the settings file"
    settings.write_text("container: {unclaimed_status: 410}\n")
    again = sgtm("rollback", path, "--settings", settings, "--to", old, "--no-reload")
    assert "the settings file says something else about it than it did then" in again.stdout
