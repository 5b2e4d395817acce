"""The outbox protocol as a model: plain dicts beside any engine. Each engine's test subclasses it.

    class MemoryMachine(OutboxMachine):
        survives = False
        def open(self): return MemoryOutbox()

SPEC: design.md Delivery (settled is one bit per record and tag; a `run` bit; a tag that did not
fire owes nothing), reliability 1.4 fault 16.
"""

import asyncio
from contextlib import aclosing

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from sgtm.delivery.letter import Letter, now_micros
from sgtm.delivery.outbox.held import Hold
from sgtm.messages import IncomingRequest, Record

TAGS = ("ga4", "meta", "http")
some_tags = st.frozensets(st.sampled_from(TAGS))


def make_record(seed=0, body=b"", **said):
    request = IncomingRequest(
        **{
            "method": "POST",
            "path": "/g/collect",
            "query": b"v=2",
            "headers": ((b"host", b"shop.example"),),
            "body": body,
            "remote_address": "203.0.113.9",
            "is_peer_trusted": False,
            "scheme": "https",
            "host": "shop.example",
            "received_micros": 1_764_000_000_000_000,
            "seed": seed,
            **said,
        }
    )
    return Record(request, "v1")


async def append(outbox, record):
    """As the server does: in a running loop."""
    return outbox.append(record)


async def listed(found):
    return [it async for it in found]


async def left_over(outbox, count):
    """The first records that are left over."""
    found = []
    async with asyncio.timeout(20):
        async for it in outbox.left_over():
            found.append(it)
            if len(found) == count:
                break
    return found


async def take(found, most):
    """The first so many; the rest stays where it is."""
    async with aclosing(found):
        first = [await anext(found, None) for _ in range(most)]
    return [it for it in first if it is not None]


def await_in(loop, waited):
    async def wait():
        await waited

    loop.run_until_complete(wait())


class Model(msgspec.Struct):
    record: Record
    settled: set[str] = msgspec.field(default_factory=set)
    owing: frozenset[str] | None = None

    @property
    def is_finished(self):
        return self.owing is not None and self.owing <= self.settled


class OutboxMachine(RuleBasedStateMachine):
    """Appends, runs, settles and reopens; after each step the engine owes what the model owes."""

    records = Bundle("records")
    survives = True
    """Unfinished records outlive the process; what they owe is then known by `unfinished` alone."""

    def open(self):
        """A new engine on the same storage."""
        raise AssertionError("an engine's machine says how to open it")

    def commit(self, outbox, waited):
        """Let `waited` (what `append` returned) be done."""
        if waited is not None:
            await_in(self.loop, waited)

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.outbox = self.open()
        self.model = {}
        self.held = {}
        """What was handed back: by record and tag, when it expires."""
        self.letters = {}
        """What was buried: by record and tag, its reason."""
        self.ever = set()
        self.count = 0

    @rule(target=records, body=st.binary(max_size=20))
    def append(self, body):
        self.count += 1
        record = make_record(self.count, body)
        record_id, waited = self.loop.run_until_complete(append(self.outbox, record))
        self.commit(self.outbox, waited)
        assert record_id not in self.ever, "an id is never given twice"
        self.ever.add(record_id)
        self.model[record_id] = Model(record)
        return record_id

    @rule(record_id=records, owing=some_tags)
    def ran(self, record_id, owing):
        kept = self.model.get(record_id)
        if kept is None or kept.owing is None:  # a record runs once; a stray call changes nothing
            self.outbox.ran(record_id, owing)
            if kept is not None:
                kept.owing = owing

    @rule(record_id=records, tag=st.sampled_from(TAGS))
    def settle(self, record_id, tag):
        self.outbox.settle(record_id, tag)
        if record_id in self.model:
            self.model[record_id].settled.add(tag)

    @rule(record_id=records, tag=st.sampled_from(TAGS), expires=st.integers(1, 50))
    def hand_back(self, record_id, tag, expires):
        self.outbox.hand_back(record_id, Hold(tag, "there"), expires)
        if record_id in self.model and self.outbox.reads_again:
            self.held[record_id, tag] = min(expires, self.held.get((record_id, tag), expires))

    @rule(tag=st.sampled_from(TAGS), most=st.integers(1, 5))
    def read_handed_back(self, tag, most):
        """Each comes once until it is handed back again; whoever stops takes no more than he got."""
        found = self.loop.run_until_complete(take(self.outbox.handed_back(Hold(tag, "there")), most))
        owed = {
            record_id
            for record_id, by in self.held
            if by == tag and record_id in self.model and tag not in self.model[record_id].settled
        }
        assert len(found) == min(most, len(owed))
        assert {it.record_id for it in found} <= owed
        for it in found:
            assert it.record == self.model[it.record_id].record
            del self.held[it.record_id, tag]

    @rule(seed=st.integers(0, 2), reason=st.sampled_from("abc"))
    def bury(self, seed, reason):
        """Of few records, so that some are buried more than once."""
        record = make_record(seed)
        letter = Letter(record=record, kind="delivery", tag="meta", reason=reason, at_micros=now_micros())
        self.outbox.bury(-1, letter)
        self.letters[letter.id] = reason
        if not self.survives:
            self.keeps_letters()

    def keeps_letters(self):
        """One of each record and tag, with the last word."""
        kept = self.loop.run_until_complete(self.outbox.letters(0, 1_000))
        assert {it.letter.id: it.letter.reason for it in kept} == self.letters

    @rule(data=st.data())
    def forget(self, data):
        if self.letters:
            gone = data.draw(st.sampled_from(sorted(self.letters)))
            self.reopen()  # who has buried it last is asked after a commit only
            assert self.loop.run_until_complete(self.outbox.forget([gone])) == 1
            del self.letters[gone]
            self.keeps_letters()

    @rule()
    def reopen(self):
        self.held.clear()  # whoever opens it next finds the records left over
        self.outbox.close()
        if self.survives:
            self.outbox = self.open()
            for kept in self.model.values():
                kept.owing = None
            self.keeps_letters()

    @invariant()
    def owes_what_the_model_owes(self):
        self.model = {record_id: kept for record_id, kept in self.model.items() if not kept.is_finished}
        found = self.loop.run_until_complete(listed(self.outbox.unfinished()))
        assert [it.record_id for it in found] == sorted(self.model), (
            "oldest first, none missing, none too many"
        )
        for it in found:
            assert it.record == self.model[it.record_id].record
            assert it.settled == self.model[it.record_id].settled
        assert len(self.outbox) == len(self.model)

    def teardown(self):
        self.outbox.close()
        self.loop.close()
