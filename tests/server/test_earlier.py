"""Containers of earlier versions (SPEC: design.md, Delivery; requirements R218)."""

import logging
from pathlib import Path

import pytest

from sgtm.container.compile import load_container, version_of
from sgtm.container.container import Container
from sgtm.container.versions import Versions
from sgtm.observability.metrics import Counters
from sgtm.server import earlier
from sgtm.server.earlier import EarlierContainers

COUNTER = "sgtm_records_of_earlier_versions_total"


def source(name: str) -> bytes:
    return f"sgtm: 1\nname: {name}\n".encode()


@pytest.fixture
def today(tmp_path: Path) -> Container:
    path = tmp_path / "container.yaml"
    path.write_bytes(source("today"))
    return load_container(path)


async def test_a_version_is_compiled_once_followed_and_today_s_is_never_looked_up(
    tmp_path: Path, today: Container
) -> None:
    versions, followed, counters = Versions(tmp_path), [], Counters()
    versions.keep(source("old"), "container.yaml")
    containers = EarlierContainers(versions, followed.append, counters)
    assert await containers.of(today.version, today) is today
    old = await containers.of(version_of(source("old")), today)
    assert await containers.of(version_of(source("old")), today) is old
    assert (old.name, followed) == ("old", [old])
    assert counters.value(COUNTER, "its own") == 2


async def test_a_version_that_is_gone_or_cannot_be_used_any_more_gives_way_to_today_s(
    tmp_path: Path, today: Container, caplog: pytest.LogCaptureFixture
) -> None:
    versions, counters = Versions(tmp_path), Counters()
    versions.keep(source("${GONE}"), "container.yaml")
    containers = EarlierContainers(versions, lambda container: None, counters)
    with caplog.at_level(logging.WARNING):
        for version in (version_of(source("${GONE}")), version_of(source("never kept"))) * 2:
            assert await containers.of(version, today) is today
    assert len(caplog.records) == 2, "each is said once"
    assert counters.value(COUNTER, "today's") == 4


async def test_only_a_few_stay_compiled(tmp_path: Path, today: Container) -> None:
    versions, followed = Versions(tmp_path), []
    names = [str(number) for number in range(earlier.COMPILED + 1)]
    for name in names:
        versions.keep(source(name), "container.yaml")
    containers = EarlierContainers(versions, followed.append, Counters())
    for name in (*names, names[-1], names[0]):
        assert (await containers.of(version_of(source(name)), today)).name == name
    assert [one.name for one in followed] == [*names, names[0]]
