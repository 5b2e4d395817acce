"""The audit trail of what is served (SPEC: requirements R247)."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from sgtm.cli import main
from sgtm.container.compile import version_of
from sgtm.container.versions import Versions
from sgtm.server import audit
from sgtm.server.audit import AuditTrail, How

HEAD = "sgtm: 1\nname: shop\nclients: [{name: Orders, type: json, parameters: {paths: [/orders]}}]\n"
TAG = "tags: [{name: A, type: http_request, parameters: {url: 'https://a.example/SECRET'}}]\n"


def serve(folder: Path, text: str, how: How = "admin", by: str = "jane") -> str:
    """As a server does that begins to serve this container; what differs."""
    source = text.encode()
    Versions(folder).keep(source, "container.yaml")
    return AuditTrail(folder).note(how, by, version_of(source), source, "container.yaml").changed


def test_each_container_is_noted_with_what_it_changed_and_no_value(tmp_path: Path) -> None:
    assert serve(tmp_path, HEAD, "start") == ""
    assert serve(tmp_path, HEAD, "start") == "nothing"
    assert serve(tmp_path, HEAD + TAG) == 'added tag "A"'
    changed = serve(tmp_path, HEAD.replace("/orders", "/sales") + TAG.replace("SECRET", "OTHER"))
    assert changed == 'changed client "Orders" (parameters.paths.0); changed tag "A" (parameters.url)'
    assert serve(tmp_path, "# a remark\n" + HEAD, "rollback").startswith("changed client")
    entries = AuditTrail(tmp_path).entries()
    assert [(one.how, one.by) for one in entries[1:3]] == [("start", "jane"), ("admin", "jane")]
    assert all(one.before == before.after for before, one in pairwise(entries))
    content = (tmp_path / audit.FILE_NAME).read_text()
    assert "SECRET" not in content
    assert "OTHER" not in content
    assert (tmp_path / audit.FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_variables_of_the_environment_are_compared_by_their_names(tmp_path: Path) -> None:
    serve(tmp_path, HEAD + TAG.replace("https://a.example/SECRET", "${A_URL}"))
    changed = serve(tmp_path, HEAD + TAG.replace("https://a.example/SECRET", "${B_URL}"))
    assert changed == 'changed tag "A" (parameters.url)'


def test_a_version_that_is_gone_is_no_obstacle(tmp_path: Path) -> None:
    serve(tmp_path, HEAD)
    for path in (tmp_path / "versions").iterdir():
        path.unlink()
    assert serve(tmp_path, HEAD + TAG).startswith("not known")


def test_the_trail_is_bounded_and_survives_half_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_BYTES", 3_000)
    path, sizes = tmp_path / audit.FILE_NAME, list[int]()
    for number in range(30):
        sizes.append(path.stat().st_size if path.exists() else 0)
        serve(tmp_path, HEAD, by=f"user {number}\x1b[2J" + "x" * 200)
    assert max(sizes) <= 3_000
    assert min(after - before for before, after in pairwise(sizes)) < -1_000  # the older half goes at once
    entries = AuditTrail(tmp_path).entries()
    assert entries[-1].by.startswith("user 29[2J")
    assert len(entries[-1].by) == audit.MOST_BY
    path.write_bytes(path.read_bytes() + b'{"half')
    assert AuditTrail(tmp_path).entries() == entries
    serve(tmp_path, HEAD, by="after the crash")
    assert AuditTrail(tmp_path).entries()[-1].by == "after the crash"


def test_the_command_lists_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audit", "--data-folder", str(tmp_path)]
    assert main(words) == 0
    assert "no container was served" in capsys.readouterr().out
    serve(tmp_path, HEAD, "start")
    serve(tmp_path, HEAD + TAG, "rollback", "jane")
    assert main(words) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "(none) -> " in first
    assert second.endswith('rollback by jane: added tag "A"')
    assert main([*words, "--latest", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["how"] == "rollback"
