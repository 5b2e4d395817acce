"""The watch of the container's file."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from doubles import eventually

from sgtm.server.watch import Files, watch

LOOK_S = 0.02


@pytest.mark.parametrize("how", ["written", "renamed", "linked", "back again"])
async def test_a_change_is_told_once(tmp_path: Path, how: str) -> None:
    path = tmp_path / "container.yaml"
    (tmp_path / "v1").write_text("one")
    path.symlink_to(tmp_path / "v1")
    told: list[str] = []

    async def changed() -> None:
        told.append(path.read_text())

    watching = asyncio.create_task(watch(Files(str(path)), changed, LOOK_S))
    await asyncio.sleep(5 * LOOK_S)
    assert told == []
    changes: dict[str, Callable[[], object]] = {
        "written": lambda: path.write_text("second"),
        "renamed": lambda: os.replace(_file(tmp_path / "draft"), path),
        "linked": lambda: os.replace(_link(tmp_path / "next", _file(tmp_path / "v2")), path),
        "back again": lambda: (path.unlink(), _file(path)),
    }
    changes[how]()
    await eventually(lambda: told == ["second"])
    await asyncio.sleep(5 * LOOK_S)
    assert told == ["second"]
    watching.cancel()


async def test_a_change_of_a_file_that_belongs_to_it_is_told_too(tmp_path: Path) -> None:
    path, settings, template = (tmp_path / name for name in ("container.yaml", "sgtm.yaml", "a.tpl"))
    settings.write_text("")
    template.write_text("one")
    path.write_text("sgtm: 1\n")
    told: list[int] = []

    async def changed() -> None:
        told.append(1)

    watching = asyncio.create_task(watch(Files(str(path), [str(settings)]), changed, LOOK_S))
    await asyncio.sleep(5 * LOOK_S)
    for count, file, content in (
        (1, settings, "port: 1"),
        (2, path, "sgtm: 1\ncustom_templates: [{file: a.tpl}]\n"),
        (3, template, "another"),
    ):
        file.write_text(content)
        await eventually(lambda count=count: len(told) == count)
        await asyncio.sleep(5 * LOOK_S)
        assert len(told) == count
    watching.cancel()


async def test_a_file_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "container.yaml"
    path.write_text("")
    told: list[int] = []

    async def changed() -> None:
        told.append(len(path.read_text()))

    watching = asyncio.create_task(watch(Files(str(path)), changed, 0.2))
    for _ in range(20):
        await asyncio.sleep(0.05)
        path.write_text(path.read_text() + "x")
    await eventually(lambda: told == [20])
    watching.cancel()


def _file(path: Path) -> Path:
    path.write_text("second")
    return path


def _link(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path
