"""Conversations: what is asked is sent at once, within bounds, and nobody waits for more than is said."""

import asyncio

import pytest

from sgtm.conversations import Conversations
from sgtm.delivery.errors import ConnectFailed, TimedOut
from sgtm.hit import HitBounds
from sgtm.messages import Ask, Conversation, Failed, OutgoingRequest, VendorAnswer
from sgtm.observability.metrics import Counters

OK = VendorAnswer(200, (), b"")


class Talk(Conversation):
    """Asks what it is given, one list after the other."""

    def __init__(self, *rounds, wall_s=5.0):
        self.rounds, self.wall_s, self.heard, self.has_ended = list(rounds), wall_s, [], False

    def take_asks(self):
        return self.rounds.pop(0) if self.rounds else []

    def answered(self, ask, answer):
        self.heard.append((ask.request.url, answer))

    def end(self):
        self.has_ended = True

    def result(self):
        return self.heard


class Vendor:
    def __init__(self, *, after_s=0.0, error=None):
        self.after_s, self.error, self.under_way, self.most, self.count = after_s, error, 0, 0, 0

    async def send(self, request, timeout_s):
        self.under_way += 1
        self.most, self.count = max(self.most, self.under_way), self.count + 1
        try:
            await asyncio.sleep(self.after_s)
        finally:
            self.under_way -= 1
        if self.error:
            raise self.error
        return OK


def ask(url="https://a.example/", timeout_s=5.0, **more):
    return Ask(OutgoingRequest("GET", url), timeout_s, lambda said: None, **more)


def conversations(vendor, **more):
    return Conversations(vendor, Counters(), HitBounds(), **more)


async def test_what_is_asked_together_is_sent_at_once_and_the_next_round_follows():
    vendor = Vendor(after_s=0.05)
    heard = await conversations(vendor).finish(Talk([ask("a"), ask("b")], [ask("c")]))
    assert (vendor.most, [url for url, _ in heard][-1]) == (2, "c")
    assert {answer for _, answer in heard} == {OK}


async def test_no_more_than_so_many_are_under_way_in_a_worker():
    vendor = Vendor(after_s=0.02)
    shared = conversations(vendor, max_under_way=3)
    await asyncio.gather(*(shared.finish(Talk([ask(), ask()])) for _ in range(5)))
    assert (vendor.most, vendor.count) == (3, 10)


@pytest.mark.parametrize(
    ("vendor", "reason"),
    [
        (Vendor(error=ConnectFailed("no")), "failed"),
        (Vendor(error=TimedOut("late")), "timed_out"),
        (Vendor(after_s=60), "timed_out"),
        (None, "failed"),
    ],
)
async def test_what_is_not_answered_says_how_and_nothing_else(vendor, reason):
    ((_, answer),) = await conversations(vendor).finish(Talk([ask(timeout_s=0.05)]))
    assert answer == Failed(reason)


async def test_its_time_is_over_for_all_of_it_together():
    vendor, talk = Vendor(after_s=60), Talk([ask(), ask()], wall_s=0.05)
    assert await conversations(vendor).finish(talk) == []
    await asyncio.sleep(0)
    assert (talk.has_ended, vendor.under_way) == (True, 0)


async def test_nobody_waits_for_what_is_not_awaited_but_an_orderly_end():
    vendor = Vendor(after_s=0.05)
    shared = conversations(vendor)
    assert await shared.finish(Talk([ask(is_awaited=False)])) == []
    await asyncio.sleep(0)
    assert vendor.under_way == 1
    await shared.all_sent()
    assert (vendor.under_way, vendor.count) == (0, 1)


async def test_two_who_wait_for_one_value_ask_once():
    vendor, talk = Vendor(after_s=0.02), Talk([ask()])
    shared = conversations(vendor)
    values = await asyncio.gather(shared.value(talk, None), shared.value(talk, None))
    assert (vendor.count, len(values[0]), values[0] == values[1]) == (1, 1, True)
