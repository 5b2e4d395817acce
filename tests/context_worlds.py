"""A shop in small: a client of browsers, a client of its server, tags that note what they see."""

import itertools
import time
from inspect import isawaitable

from cases import make_request
from corridor import make_client, make_container, make_tag
from doubles import HeldLanes, NotingOutbox, eventually
from msgspec.structs import replace

from sgtm.delivery.context.file import Bounds
from sgtm.delivery.context.rules import ContextRules, HoldRule
from sgtm.delivery.context.sqlite import SqliteContext
from sgtm.holding import Holding
from sgtm.messages import DONE, Answer, Claimed, OutgoingRequest, Record
from sgtm.observability.metrics import Counters
from sgtm.pipeline import Pipeline

NOW = time.time_ns() // 1_000
GRANTED, DENIED, UNSET = "13n3n3n3n5l1", "13m3m3m3m5l1", ""
SEEDS = itertools.count(1_000)
PURCHASE = HoldRule(name="purchase", key="order", events=("purchase",), wait="10m")


def rules(**changes):
    return replace(ContextRules(browser_clients=("browser",), server_clients=("server",)), **changes)


class Shop:
    """One worker. Two of them may have one file, as two workers have."""

    def __init__(
        self, path=None, *, unset="denied", most=100, commit=None, tags=("ads",), store=None, **changes
    ):
        self.outbox, self.lanes, self.counters = NotingOutbox(), HeldLanes(DONE), Counters()
        self.store = store or SqliteContext(path, Bounds(10_000, 10**7), self.counters)
        self.now = NOW
        self.holding = Holding(self.store, self.counters, 100, lambda: self.now)
        self.sent, self.consents, self.events = [], [], []
        self.container = replace(
            make_container([], [make_tag(self._build, "ads")]),
            context=rules(**changes),
            is_unset_consent_granted=unset == "granted",
        )

    def _build(self, event):
        self.sent.append(event.data)
        self.consents.append(event.consent)
        self.events.append(event)
        return [OutgoingRequest("POST", "https://vendor.example/x")]

    def pipeline(self, client, events, waits=False):
        said = Claimed([dict(event) for event in events], Answer(204), waits_for_tags=waits)
        container = replace(self.container, clients=(make_client(lambda request: said, client),))
        return Pipeline(container, self.outbox, self.lanes, self.counters, holding=self.holding)

    async def hit(self, client, *events, seed=None, again=None, at=None, walk=None, waits=False, **request):
        """Its answer; tags that wait for nobody but the store have run."""
        made = make_request({"target": "/c", "received_micros": at or self.now, **request})
        made = replace(made, seed=next(SEEDS) if seed is None else seed)
        pipeline = self.pipeline(client, events, waits)
        if again is not None:
            await pipeline.run_again(Record(made, "v1"), again, walk=walk)
            return None
        answer = pipeline.run(made, walk)
        answer = await answer if isawaitable(answer) else answer
        await pipeline.finish()
        return answer

    async def browser(self, name="page_view", consent=GRANTED, **data):
        return await self.hit("browser", visit(name, consent, **data))

    async def server(self, name="purchase", walk=None, **data):
        """What the tag saw."""
        count = len(self.sent)
        await self.hit("server", {"event_name": name, **data}, walk=walk)
        return self.sent[-1] if len(self.sent) > count else None

    async def waiting(self, count):
        await eventually(lambda: len(self.holding) == len(self.holding._waiting) == count)

    def counted(self, name, label=""):
        return self.counters.value(name, label)

    async def close(self):
        await self.holding.end(are_kept=True)
        self.store.close()


def visit(name="page_view", consent=GRANTED, **data):
    """What the GA4 client makes of a hit."""
    return {
        "event_name": name,
        "client_id": "1.1",
        "ga_session_id": "17",
        "ga_session_number": 3,
        "page_location": "https://shop.example/thanks",
        "ip_override": "198.51.100.7",
        "user_agent": "Mozilla/5.0",
        "x-ga-gcd": consent,
        **data,
    }
