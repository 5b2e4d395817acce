import asyncio
import shutil

import apsw
import pytest
from delivery.outbox_machine import listed, make_record
from doubles import eventually
from msgspec.structs import replace

from sgtm.delivery.letter import Letter, is_name, now_micros
from sgtm.delivery.outbox.file import OutboxFile
from sgtm.delivery.outbox.opening import open_outbox
from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

# SPEC: design.md Delivery (a dead letter is record + tag + reason, never outgoing bytes); reliability 1.3.


def open_in(folder, engine="sqlite", slot=0, workers=1, counters=None, **changes):
    chosen = Settings(outbox=engine, data_folder=str(folder), **changes)
    return open_outbox(chosen, slot, workers, counters or Counters())


async def append(outbox, record):
    record_id, commit = outbox.append(record)
    if commit is not None:
        await commit
    return record_id


def make_letter(seed=0, tag="meta", body=b"", **said):
    known = {"kind": "delivery", "reason": "400: no", "at_micros": now_micros(), "event_index": 0}
    return Letter(record=make_record(seed, body), tag=tag, **{**known, **said})


async def tags_of(outbox):
    return [kept.letter.tag for kept in await outbox.letters()]


async def written(outbox):
    """Until what was buried is where it is read."""
    async with asyncio.timeout(10):
        while getattr(getattr(outbox, "ledger", None), "owes_a_change", False):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture(params=["memory", "sqlite"])
def engine(request):
    return request.param


@pytest.fixture
async def outbox(tmp_path, engine):
    outbox = open_in(tmp_path, engine)
    await append(outbox, make_record(99))  # the loop is known from the first record on
    yield outbox
    outbox.close()


async def test_a_letter_comes_back_as_it_was_buried(outbox):
    letter = make_letter(
        body=b"\xff\x00",
        kind="build",
        event_name="purchase",
        keys=("value", "currency"),
        destination="https://graph.example:443",
        attempts=3,
        status=400,
        answer='{"error": 1}',
        container_version="v2",
        settled=("ga4",),
    )
    outbox.bury(0, letter)
    await written(outbox)
    (kept,) = await outbox.letters()
    assert kept.letter == letter
    await eventually(lambda: outbox.state().letters == 1)
    assert outbox.state().letter_bytes > 0


async def test_one_record_event_and_tag_has_one_letter_and_the_last_word_counts(outbox):
    for reason in ("first", "second"):
        outbox.bury(0, make_letter(reason=reason))
    outbox.bury(0, make_letter(event_index=1, reason="another event"))
    outbox.bury(0, make_letter(tag="ga4", reason="another tag"))
    await written(outbox)
    assert [kept.letter.reason for kept in await outbox.letters()] == [
        "second",
        "another event",
        "another tag",
    ]


async def test_letters_are_read_in_pages_and_forgotten_by_id(outbox):
    letters = [make_letter(seed) for seed in range(7)]
    for letter in letters:
        outbox.bury(0, letter)
    await written(outbox)
    first = await outbox.letters(0, 4)
    rest = await outbox.letters(first[-1].number, 4)
    assert [kept.letter for kept in first + rest] == letters
    assert await outbox.forget([letters[0].id, letters[6].id, "unknown"]) == 2
    assert [kept.letter for kept in await outbox.letters()] == letters[1:6]


async def test_a_page_is_bounded_by_bytes_and_never_empty_for_that(outbox):
    for seed in range(3):
        outbox.bury(0, make_letter(seed, body=b"x" * 3_000_000))
    await written(outbox)
    assert len(await outbox.letters()) == 1


async def test_what_is_over_the_bounds_falls_out_of_its_own_kind_and_is_counted(tmp_path, engine):
    counters = Counters()
    outbox = open_in(tmp_path, engine, counters=counters, letter_count=3)
    await append(outbox, make_record(99))
    outbox.bury(0, make_letter(tag="delivered"))
    for seed in range(5):
        outbox.bury(0, make_letter(seed, kind="build", tag=f"built {seed}"))
    await written(outbox)
    assert await tags_of(outbox) == ["delivered", "built 2", "built 3", "built 4"]
    await eventually(lambda: counters.value("sgtm_letters_fallen_out_total") == 2)
    assert counters.value("sgtm_letters_total", "delivered") == 1
    outbox.close()


async def test_letters_too_large_for_the_bound_push_out_older_ones(tmp_path, engine):
    outbox = open_in(tmp_path, engine, letter_bytes=50_000)
    await append(outbox, make_record(99))
    for seed in range(4):
        outbox.bury(0, make_letter(seed, body=b"x" * 20_000))
        await written(outbox)
    assert [kept.letter.record.request.seed for kept in await outbox.letters()] == [2, 3]
    outbox.close()


async def test_letters_have_an_age(tmp_path, engine):
    outbox = open_in(tmp_path, engine, letter_days=1)
    await append(outbox, make_record(99))
    outbox.bury(0, make_letter(0, tag="old", at_micros=now_micros() - 2 * 86_400 * 1_000_000))
    outbox.bury(0, make_letter(1, tag="new"))
    await written(outbox)
    await written(outbox)
    assert await tags_of(outbox) == ["new"]
    outbox.close()


# -- sqlite: on the disk --------------------------------------------------------------------------


async def test_letters_survive_the_process(tmp_path):
    outbox = open_in(tmp_path)
    record_id = await append(outbox, make_record())
    outbox.bury(record_id, make_letter())
    outbox.ran(record_id, frozenset())
    outbox.close()
    after = open_in(tmp_path)
    assert await tags_of(after) == ["meta"]
    assert after.state().letters == 1
    assert len(after) == 0
    after.close()


async def test_no_crash_between_bury_and_settle_loses_the_record(tmp_path, monkeypatch):
    """Whatever moment the process dies at: the letter is there, or the record still owes its tag."""
    states = []
    write = OutboxFile.write

    def noting(file, change):
        write(file, change)
        shutil.copytree(tmp_path / "live", tmp_path / f"state-{len(states)}")
        states.append(tmp_path / f"state-{len(states)}")

    monkeypatch.setattr(OutboxFile, "write", noting)
    outbox = open_in(tmp_path / "live")
    for seed in range(6):
        record_id, commit = outbox.append(make_record(seed))
        if seed % 2:
            await commit  # some die while their group waits, others afterwards
        outbox.bury(record_id, make_letter(seed))
        outbox.ran(record_id, frozenset({"meta", "ga4"}))
        outbox.settle(record_id, "meta")
        if seed % 3 == 0:
            outbox.settle(record_id, "ga4")
        await asyncio.sleep(0.03)
        outbox._flush()
    outbox.close()
    monkeypatch.undo()
    assert len(states) > 6
    settled = 0
    for state in states:
        after = open_in(state)
        found = await listed(after.unfinished())
        owing = {one.record.request.seed for one in found if "meta" not in one.settled}
        buried = {kept.letter.record.request.seed for kept in await after.letters()}
        present = {one.record.request.seed for one in found}
        known = max(present | buried, default=-1)
        assert owing | buried == set(range(known + 1)), state
        settled += len(buried)
        after.close()
    assert settled


async def test_letters_wait_for_more_room_than_one_commit_has(tmp_path, monkeypatch):
    monkeypatch.setattr("sgtm.delivery.outbox.ledger._MAX_LETTERS_A_CHANGE", 2)
    changes = []
    write = OutboxFile.write

    def noting(file, change):
        changes.append(change)
        write(file, change)

    monkeypatch.setattr(OutboxFile, "write", noting)
    outbox = open_in(tmp_path)
    record_id = await append(outbox, make_record())
    for index in range(5):
        outbox.bury(record_id, make_letter(event_index=index))
    outbox.ran(record_id, frozenset())
    outbox.close()
    assert [len(change.letters) for change in changes] == [0, 2, 2, 1]
    assert [len(change.finished) for change in changes] == [0, 0, 0, 1]


async def test_letters_of_vanished_slots_are_taken_over_once(tmp_path):
    gone = open_in(tmp_path, slot=3, workers=4)
    await append(gone, make_record(99))
    for seed in range(120):
        gone.bury(0, make_letter(seed))
    gone.close()
    outbox = open_in(tmp_path, workers=1)
    async with asyncio.timeout(20):
        async for _ in outbox.left_over():
            break
    assert len({kept.letter.id for kept in await outbox.letters(0, 1000)}) == 120
    assert not (tmp_path / "slot-3-0").exists()
    outbox.close()


async def test_letters_of_a_file_that_is_set_aside_are_salvaged(tmp_path, monkeypatch):
    outbox = open_in(tmp_path)
    record_id = await append(outbox, make_record())
    outbox.bury(record_id, make_letter(1, tag="before"))
    await written(outbox)
    write = OutboxFile.write

    def failing(file, change):
        monkeypatch.setattr(OutboxFile, "write", write)
        raise apsw.IOError("")

    monkeypatch.setattr(OutboxFile, "write", failing)
    outbox.bury(record_id, make_letter(2, tag="while it failed"))
    outbox._flush()

    async def take():
        async for _ in outbox.left_over():
            pass

    taking = asyncio.ensure_future(take())
    async with asyncio.timeout(20):
        while sorted(await tags_of(outbox)) != ["before", "while it failed"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    outbox.close()
    await taking


async def test_a_damaged_letter_costs_itself(tmp_path):
    outbox = open_in(tmp_path)
    await append(outbox, make_record(99))
    for seed in range(3):
        outbox.bury(0, make_letter(seed, tag=f"tag {seed}"))
    outbox.close()
    (path,) = tmp_path.glob("slot-*/outbox.sqlite")
    connection = apsw.Connection(str(path))
    (whole,) = connection.execute("SELECT letter FROM letter WHERE number=2").fetchall()[0]
    damaged = whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:]
    connection.execute("UPDATE letter SET letter=? WHERE number=2", (damaged,))
    connection.close()
    after = open_in(tmp_path)
    assert await tags_of(after) == ["tag 0", "tag 2"]
    after.close()


def test_only_what_looks_like_a_name_is_shown_as_one():
    assert is_name("add_to_cart")
    assert is_name("level_2")
    for personal in ("jane@shop.example", "Jane Doe", "+491701234567", "491701234567", "x" * 80, ""):
        assert not is_name(personal)


def test_a_letter_has_an_id_of_its_own_for_each_record():
    letter = make_letter()
    assert letter.id == make_letter(reason="another").id
    assert letter.id != make_letter(1).id
    assert letter.id != replace(letter, event_index=None).id
