"""Versions of a container that were served (SPEC: requirements R218, R288)."""

import os

import pytest

from sgtm.container.compile import version_of
from sgtm.container.versions import KEPT, UnknownVersion, Versions, write_whole


def test_a_version_is_kept_as_it_stands_in_its_file_for_its_owner_alone(tmp_path):
    versions = Versions(tmp_path)
    source = b"sgtm: 1\nname: ${NAME}\n"
    versions.keep(source, "container.yaml")
    (kept,) = versions.all()
    assert kept.version == version_of(source)
    assert kept.path.read_bytes() == source, "nothing of the environment is filled in"
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert kept.path.parent.stat().st_mode & 0o777 == 0o700
    versions.keep(b"{}", "GTM-1.json")
    assert {one.path.suffix for one in versions.all()} == {".yaml", ".json"}


def test_the_one_that_was_served_last_is_first_also_when_it_had_been_served_before(tmp_path):
    versions = Versions(tmp_path)
    for seconds, source in enumerate([b"a", b"b", b"c"]):
        versions.keep(source, "c.yaml")
        os.utime(versions.find(version_of(source)).path, (1_000 + seconds, 1_000 + seconds))
    assert [one.version for one in versions.all()] == [version_of(source) for source in (b"c", b"b", b"a")]
    versions.keep(b"a", "c.yaml")
    assert versions.all()[0].version == version_of(b"a")
    assert len(versions.all()) == 3


def test_the_oldest_go(tmp_path):
    versions = Versions(tmp_path)
    for number in range(KEPT + 3):
        versions.keep(b"%d" % number, "c.yaml")
        os.utime(versions.find(version_of(b"%d" % number)).path, (number, number))
    versions.keep(b"new", "c.yaml")
    kept = {one.version for one in versions.all()}
    assert len(kept) == KEPT
    assert version_of(b"new") in kept
    assert version_of(b"0") not in kept


def test_a_version_is_found_by_the_begin_of_its_name(tmp_path):
    versions = Versions(tmp_path)
    versions.keep(b"a", "c.yaml")
    versions.keep(b"b", "c.yaml")
    assert versions.find(version_of(b"a")[:7]).version == version_of(b"a")
    for name in ("", "zz"):
        with pytest.raises(UnknownVersion, match="there is no version"):
            versions.find(name)
    with pytest.raises(UnknownVersion, match="kept are: none"):
        Versions(tmp_path / "nothing").find("a")


def test_what_cannot_be_written_whole_is_not_written(tmp_path):
    target = tmp_path / "there"
    target.mkdir()
    with pytest.raises(OSError):
        write_whole(target, b"x", 0o600)
    assert list(tmp_path.iterdir()) == [target], "no draft is left"
