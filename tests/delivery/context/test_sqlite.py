"""The file of the context store: bounds, time, damage, and two workers that share it."""

import asyncio
import threading
import time

import pytest
from cases import make_request
from context_worlds import GRANTED, rules, visit
from doubles import eventually

from sgtm.delivery.context import ContextUnavailable
from sgtm.delivery.context.file import Bounds
from sgtm.delivery.context.keys import key_of
from sgtm.delivery.context.pairs import Meeting
from sgtm.delivery.context.sqlite import MAX_SAVES, SqliteContext
from sgtm.event import make_event
from sgtm.observability.metrics import Counters

# SPEC: requirements R308 (TTL, bounded); reliability 0.7 (shared files).
NOW = time.time_ns() // 1_000
RULES = rules(ttl="1h")


@pytest.fixture
def opened(tmp_path):
    """Stores on one file, as the workers of a machine have them."""
    made = []

    def open_one(entries=10_000, size=10**7):
        made.append(SqliteContext(tmp_path / "context.sqlite", Bounds(entries, size), Counters()))
        return made[-1]

    yield open_one
    for one in made:
        one.close()


def save(store, number, at=NOW, **more):
    data = visit("purchase", GRANTED, client_id=f"{number}.1", **more)
    request = make_request({"received_micros": at})
    store.save(make_event(data, request, "browser", 0), RULES, is_unset_granted=False)


async def known(store, *numbers):
    await store.find([b"none"])  # what waits is written, and there is room again
    found = [await store.find([key_of("client_id", f"{number}.1")]) for number in numbers]
    return [one is not None for one in found]


def count(store):
    return store._file.execute("SELECT count(*), (SELECT entries FROM totals) FROM kept").fetchall()[0]


async def test_beyond_so_many_keys_the_oldest_fall_out_and_are_counted(opened):
    store = opened(entries=10)
    for number in range(25):
        save(store, number, at=NOW + number)
    assert await known(store, 0, 14, 15, 24) == [False, False, True, True]
    await eventually(lambda: store.entries == 10)
    assert store._counters.value("sgtm_context_fallen_out_total", "") == 15
    assert count(store) == (10, 10), "the totals are those of the file"


async def test_beyond_so_many_bytes_too(opened):
    store = opened(size=20_000)
    for number in range(50):
        save(store, number, at=NOW + number, page_location="https://x/" + "a" * 1_000)
    assert await known(store, 0, 49) == [False, True]
    await eventually(lambda: 0 < store.size_bytes <= 20_000)
    sizes = "SELECT sum(length(content)) + 64 * count(*), (SELECT bytes FROM totals) FROM kept"
    assert len(set(store._file.execute(sizes).fetchall()[0])) == 1


async def test_what_is_over_goes_from_the_file(opened):
    store = opened()
    save(store, 1, at=NOW - 7_200_000_000)
    save(store, 2)
    assert await known(store, 1, 2) == [False, True]
    assert count(store) == (1, 1)


async def test_two_workers_share_one_file_and_neither_undoes_the_other(opened):
    stores = [opened(), opened()]
    for number in range(40):
        save(stores[number % 2], number)
        save(stores[number % 2], 99, at=NOW + number, transaction_id=f"T{number}")
    await asyncio.gather(*(known(store, 0) for store in stores))
    assert all(await known(stores[0], *range(40)))
    _, row = await stores[1].find([key_of("client_id", "99.1")])
    assert len(row.beside) == 32, "the latest orders beside the client"


async def test_a_damaged_file_is_begun_anew_by_all(opened, tmp_path):
    store, other = opened(), opened()
    save(store, 1)
    save(other, 2)
    await asyncio.gather(known(store, 1), known(other, 1))
    store.close()
    other.close()
    path = tmp_path / "context.sqlite"
    path.write_bytes(b"no database " * 1_000)
    again, another = opened(), opened()
    with pytest.raises(ContextUnavailable):
        await again.find([b"k"])
    save(again, 3)
    await again.find([b"k"])
    assert await known(another, 1, 3) == [False, True]
    assert path.stat().st_mode & 0o077 == 0


async def test_a_link_in_the_place_of_the_file_is_not_followed(opened, tmp_path):
    (tmp_path / "elsewhere").touch()
    (tmp_path / "context.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ContextUnavailable):
        await opened().find([b"k"])
    assert (tmp_path / "elsewhere").read_bytes() == b""


async def test_what_was_saved_last_is_written_at_the_end(opened):
    store = opened()
    save(store, 1)
    store.close()
    assert await known(opened(), 1) == [True]
    with pytest.raises(ContextUnavailable):
        await store.find([b"k"])


async def test_saving_never_waits_and_never_piles_up(opened):
    store = opened()
    for number in range(MAX_SAVES + 5):
        save(store, number % 10)
    assert store._counters.value("sgtm_context_failures_total", "not saved") == 5
    assert await known(store, 3) == [True]


async def test_while_the_disk_is_slow_hits_wait_in_one_group_and_not_in_a_queue(opened, monkeypatch):
    store = opened()
    save(store, 1)
    await known(store, 1)
    write, writing = store._file.save, threading.Event()
    monkeypatch.setattr(store._file, "save", lambda saves: (writing.wait(5), write(saves)))
    for number in range(5):
        save(store, number)
        await asyncio.sleep(0.15)
    assert (store._writing, len(store._saves)) == (1, 4)
    writing.set()
    assert all(await known(store, *range(5)))
    await eventually(lambda: not store._writing)


async def test_damaged_rows_and_pairs_are_as_if_they_were_not_there(opened):
    store = opened()
    save(store, 1)
    meeting = Meeting(b"p" * 16, b"r", "server", b"", NOW, NOW + 10**9, NOW + 10**12)
    assert (await store.meet(meeting)).verdict == "wait"
    store._file.execute("UPDATE kept SET content=x'ff00'")
    assert await known(store, 1) == [False]
    assert (await store.meet(meeting)).verdict == "wait"
    save(store, 1)
    assert await known(store, 1) == [True]
