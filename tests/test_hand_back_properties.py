"""Whatever vendors, time and restarts of the reading do: what a record owes is under way or waits, until
it has arrived."""

import asyncio
from collections import Counter

import msgspec
from cases import make_request
from corridor import claim, make_client, make_container, make_tag
from delivery.deliveries import NOON_MICROS, FakeClock
from doubles import NotingOutbox
from hypothesis import given
from hypothesis import strategies as st

from sgtm.delivery.lanes import LaneLimits, Lanes
from sgtm.delivery.outbox.held import Held
from sgtm.hit import Again
from sgtm.messages import OutgoingRequest, Record, VendorAnswer
from sgtm.observability.metrics import Counters
from sgtm.pipeline import Pipeline

# SPEC: design.md Delivery; R271.
REQUEST = make_request({"target": "/c", "received_micros": NOON_MICROS})


class Outbox(NotingOutbox):
    """Records in a dict, and what waits for what, by the rules of the protocol."""

    def __init__(self):
        super().__init__()
        self.owing, self.held = {}, {}

    def append(self, record):
        record_id = int(record.request.query)
        self.owing[record_id] = None
        return record_id, None

    def ran(self, record_id, owing):
        if self.owing[record_id] is None:
            self.owing[record_id] = set(owing)

    def settle(self, record_id, tag):
        self.owing[record_id].discard(tag)

    def hand_back(self, record_id, hold, expires_micros):
        self.held.setdefault(hold, Held()).add(record_id, 1, expires_micros, 1)

    @property
    def owed(self):
        return {(record_id, tag) for record_id, tags in self.owing.items() for tag in tags}

    @property
    def waiting(self):
        return {
            (number, hold.tag) for hold, held in self.held.items() for number in held._batches
        } & self.owed


class Vendor:
    """Takes what its script lets it take; then everything."""

    def __init__(self, script):
        self.script, self.under_way, self.took = list(script), Counter(), Counter()

    def start(self, request, timeout_s, on_end):
        return None

    async def send(self, request, timeout_s):
        names = [part for part in request.body.decode().split(",") if part]
        self.under_way.update(names)
        await asyncio.sleep(0)
        status = self.script.pop() if self.script else 200
        self.under_way.subtract(names)
        if status == 200:
            self.took.update(names)
        headers = (("retry-after", "30"),) if status == 429 else ()
        return VendorAnswer(status, headers, b"")


def envelope(requests):
    joined = b",".join(request.item for request in requests)
    return OutgoingRequest("POST", requests[0].url, body=joined)


def build_for(host, *, is_batched):
    def build(event):
        name = b"%s/%s" % (host.encode(), event.request.query)
        url = f"https://{host}.example/"
        said = {"item": name} if is_batched else {"body": name}
        return [OutgoingRequest("POST", url, **said)]

    return build


actions = st.lists(
    st.one_of(st.just("hit"), st.sampled_from([0.05, 1.0, 6.0, 40.0]), st.just("read")),
    min_size=5,
    max_size=60,
)
statuses = st.lists(st.sampled_from([200, 500, 503, 429, 401]), max_size=60)


@given(actions, statuses, st.integers(1, 8))
def test_what_is_owed_is_under_way_or_waits_until_it_has_arrived(actions, script, max_queued):
    async def main():
        clock, outbox, vendor = FakeClock(), Outbox(), Vendor(script)
        lanes = Lanes(
            vendor,
            Counters(),
            clock=clock,
            chance=lambda: 0.5,
            limits=LaneLimits(concurrency=2, max_queued=max_queued),
            hands_back=True,
        )
        tags = [
            make_tag(build_for("one", is_batched=False), "one"),
            make_tag(build_for("many", is_batched=True), "many", envelope=envelope, max_batch=3),
        ]
        container = make_container([make_client(lambda r: claim("e"))], tags)
        pipeline = Pipeline(container, outbox, lanes, Counters())
        hits = 0

        def request(number):
            return msgspec.structs.replace(REQUEST, query=b"%d" % number)

        async def step(action):
            nonlocal hits
            if action == "hit":
                pipeline.run(request(hits))
                hits += 1
            elif action == "read":
                for hold in list(outbox.held):
                    while lanes.wants(hold) and (taken := outbox.held[hold].take()) is not None:
                        again = Again(taken.number, only=frozenset({hold.tag}))
                        await pipeline.run_again(Record(request(taken.number), "v1"), again)
            else:
                clock.advance(action)
            for _ in range(6):
                await asyncio.sleep(0)
            assert len(outbox.owed - outbox.waiting) <= lanes.pending, "somebody has it"

        for action in actions:
            await step(action)
        vendor.script.clear()
        for _ in range(60):
            await step("read")
            await step(40.0)
        assert not outbox.owed
        assert not lanes.pending
        arrived = {name for name, count in vendor.took.items() if count}
        assert arrived == {f"{tag}/{number}" for tag in ("one", "many") for number in range(hits)}
        await lanes.close()

    asyncio.run(main())
