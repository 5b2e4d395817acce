"""The channel between supervisor and worker: real socket pairs."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from doubles import eventually
from msgspec import Raw

from sgtm.errors import SgtmError
from sgtm.server import control
from sgtm.server.control import Channel, Gone, NoAnswer


class Ends:
    def __init__(self, asks: Channel, answers: Channel) -> None:
        self.asks, self.answers = asks, answers


async def answer(kind: str, body: Raw) -> Any:
    if kind == "echo":
        return msgspec.msgpack.decode(body)
    if kind == "never":
        await asyncio.Event().wait()
    if kind == "raises":
        raise ValueError("jane@shop.example")
    if kind == "large":
        return "x" * 2000
    raise SgtmError("is not known here", where=kind)


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ours, theirs = socket.socketpair()
    both = Ends(await Channel.open(ours), await Channel.open(theirs, answer))
    yield both
    for end in (both.asks, both.answers):
        await end.finish(1)
    for task in both.answers._answering:
        task.cancel()


async def test_questions_are_answered_each_with_its_own(ends: Ends) -> None:
    asked = [ends.asks.ask("echo", number, of=int, timeout_s=5) for number in range(50)]
    assert await asyncio.gather(*asked) == list(range(50))


async def test_a_slow_answer_holds_up_no_other(ends: Ends) -> None:
    never = asyncio.create_task(ends.asks.ask("never", of=int, timeout_s=0.3))
    assert await ends.asks.ask("echo", 1, of=int, timeout_s=5) == 1
    with pytest.raises(NoAnswer, match="no answer in"):
        await never


async def test_what_cannot_be_answered_is_said_and_a_foreign_error_only_by_its_class(ends: Ends) -> None:
    with pytest.raises(NoAnswer, match="is not known here"):
        await ends.asks.ask("of-another-release", of=int, timeout_s=5)
    with pytest.raises(NoAnswer, match="raised ValueError") as caught:
        await ends.asks.ask("raises", of=int, timeout_s=5)
    assert "jane" not in str(caught.value)
    with pytest.raises(NoAnswer, match="cannot be read"):
        await ends.asks.ask("echo", "text", of=int, timeout_s=5)
    with pytest.raises(NoAnswer, match="takes no more"):
        await ends.answers.ask("echo", of=int, timeout_s=5)  # the asking end answers nothing


async def test_a_message_of_another_release_is_understood(ends: Ends) -> None:
    class Newer(msgspec.Struct):
        id: int
        kind: str
        body: Raw
        error: str = ""
        deadline: float = 1.5

    frame = msgspec.msgpack.encode(Newer(1, "echo", Raw(msgspec.msgpack.encode({"known": 1, "new": 2}))))
    waiting = asyncio.get_running_loop().create_future()
    ends.asks._asked[1] = waiting
    ends.asks._writer.write(struct.pack("!I", len(frame)) + frame)

    class Older(msgspec.Struct):
        known: int
        missing: str = "default"

    assert msgspec.msgpack.decode(await waiting, type=Older) == Older(1)
    del ends.asks._asked[1]


async def test_the_end_of_the_other_side_is_noticed_at_once(ends: Ends) -> None:
    never = asyncio.create_task(ends.asks.ask("never", of=int, timeout_s=30))
    await asyncio.sleep(0.05)
    ends.answers.close()
    with pytest.raises(Gone):
        await never
    async with asyncio.timeout(5):
        await ends.asks.wait_closed()
    with pytest.raises(Gone):
        await ends.asks.ask("echo", 1, of=int, timeout_s=30)


@pytest.mark.parametrize("garbage", [b"\xff" * 4, b"\x00\x00\x00\x03\xc1\xc1\xc1", b"\x00"])
async def test_garbage_ends_the_channel_and_nothing_else(ends: Ends, garbage: bytes) -> None:
    ends.asks._writer.write(garbage)
    ends.asks._writer.write_eof()
    async with asyncio.timeout(5):
        await ends.answers.wait_closed()


async def test_no_message_is_too_large(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_BYTES", 1000)
    with pytest.raises(NoAnswer, match="too large"):
        await ends.asks.ask("echo", "x" * 1001, of=str, timeout_s=5)
    with pytest.raises(NoAnswer):  # the answering end cannot send it, and the time is over
        await ends.asks.ask("large", of=str, timeout_s=0.2)
    assert await ends.asks.ask("echo", 1, of=int, timeout_s=5) == 1


async def test_to_an_end_that_does_not_read_nothing_more_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(control, "MAX_BYTES", 100_000)
    with theirs:
        asks = await Channel.open(ours)
        refused: list[NoAnswer] = []
        for _ in range(20):
            try:
                await asks.ask("echo", "x" * 90_000, of=str, timeout_s=0.01)
            except NoAnswer as error:
                refused.append(error)
        assert len(refused) == 20
        assert "does not read" in str(refused[-1])
        assert asks._writer.transport.get_write_buffer_size() < 300_000
        asks.close()
        await eventually(lambda: asks._reading.done())


async def test_questions_at_once_are_bounded(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_AT_ONCE", 2)
    waiting = [asyncio.create_task(ends.asks.ask("never", of=int, timeout_s=0.5)) for _ in range(2)]
    await asyncio.sleep(0.1)
    with pytest.raises(NoAnswer, match="no more questions"):
        await ends.asks.ask("echo", 1, of=int, timeout_s=5)
    await asyncio.gather(*waiting, return_exceptions=True)
