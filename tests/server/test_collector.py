"""The garbage collector: modules are spared, containers are not (SPEC: reliability 6, memory and GC)."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from containers import client, container, echo

from sgtm.server.collector import spare_modules

ROOT = Path(__file__).parents[2]


@pytest.fixture
def spared() -> Iterator[int]:
    spare_modules()
    yield gc.get_freeze_count()
    gc.unfreeze()


def test_what_is_loaded_later_is_collected(spared: int) -> None:
    assert spared > 10_000
    one = container([client(echo)])
    cycle: list[object] = [one]
    cycle.append(cycle)
    ref = weakref.ref(one)
    del one, cycle
    gc.collect()
    assert ref() is None


@pytest.mark.parametrize(
    ("module", "start"),
    [("sgtm.server.slot_process", "main()"), ("sgtm.server.run", "serve('none.yaml', 0)")],
)
def test_each_way_to_start_spares_them_before_a_container_is_loaded(module: str, start: str) -> None:
    code = f"import gc, {module}\ntry: {module}.{start}\nexcept Exception: print(gc.get_freeze_count())"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert int(said.stdout) > 10_000
