"""What the delivery tests share: deliveries to make, a clock that stands still, a tag that batches."""

import asyncio
import heapq
import itertools
import json
from contextlib import asynccontextmanager

import msgspec

from sgtm.component import Component, read_status
from sgtm.delivery.credentials import Credentials, CredentialSource
from sgtm.delivery.egress import Egress
from sgtm.delivery.errors import SendError
from sgtm.delivery.lanes import Delivery, DeliveryRules, Lanes
from sgtm.delivery.lean_sender import LeanSender
from sgtm.delivery.pooled_sender import PooledSender
from sgtm.demo.vendor import Vendor
from sgtm.messages import CredentialUse, Outcome, OutgoingRequest, VendorAnswer
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import WalkedDelivery

NOON_MICROS = 1_764_000_000_000_000
TOKEN = CredentialUse(name="META_TOKEN", place="header", key="Authorization", prefix="Bearer ")

SENDERS = {"lean": LeanSender, "pooled": PooledSender}
new_sender = LeanSender
"""What tests send with; `each_sender` changes it."""


def to_loopback(**settings):
    """A door that lets through to the stand-ins."""
    return Egress(("127.0.0.0/8", "::1"), **settings)


class NoParameters(msgspec.Struct, frozen=True):
    pass


def make_component(**declared):
    return Component(
        **{
            "kind": "tag",
            "type": "test",
            "function": lambda event, parameters: [],
            "parameters_type": NoParameters,
            "module": __name__,
            "read": read_status,
            **declared,
        }
    )


PLAIN = make_component()


def read_meta(answer, requests):
    """The classification of meta-capi 13, enough of it for the stand-in."""
    if answer.status == 200:
        return Outcome("done") if b"events_received" in answer.body else Outcome("retry", "no JSON")
    try:
        code = json.loads(answer.body)["error"]["code"]
    except (ValueError, KeyError):
        return Outcome("retry", f"HTTP {answer.status}")
    return Outcome({100: "isolate", 190: "refused"}.get(code, "dead"), f"code {code}")


def meta_envelope(requests):
    body = b'{"data":[%s]}' % b",".join(request.item for request in requests)
    first = requests[0]
    return OutgoingRequest("POST", first.url, first.headers, body, first.credential)


META = make_component(read=read_meta, envelope=meta_envelope, max_batch=1_000)


async def until(condition, timeout_s=30.0):
    """Wait for what happens in other tasks and on sockets, where there is no event to wait for."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def exchanged(sender, request, timeout_s):
    """The answer, as lanes get it: started where that can be, otherwise awaited."""
    ended = asyncio.get_running_loop().create_future()
    is_inside = True

    def on_end(came):
        assert not is_inside, "called from within"
        ended.set_result(came)

    started = sender.start(request, timeout_s, on_end)
    is_inside = False
    if started is None:
        return await sender.send(request, timeout_s)
    try:
        came = await ended
    except asyncio.CancelledError:
        started.cancel()
        raise
    if isinstance(came, SendError):
        raise came
    return came if isinstance(came, VendorAnswer) else await came()


class FakeClock:
    """Stands still until `advance`; rings its alarms then."""

    def __init__(self):
        self.seconds = 1_000.0
        self.jumped_s = 0.0
        self._alarms = []
        self._numbers = itertools.count()

    def now(self):
        return self.seconds

    def unix_micros(self):
        return NOON_MICROS + int((self.seconds - 1_000.0 + self.jumped_s) * 1_000_000)

    def steady_micros(self):
        return self.unix_micros() - int(max(self.jumped_s, 0.0) * 1_000_000)

    def call_at(self, when, callback):
        alarm = FakeAlarm(callback)
        heapq.heappush(self._alarms, (when, next(self._numbers), alarm))
        return alarm

    def advance(self, seconds):
        end = self.seconds + seconds
        while self._alarms and self._alarms[0][0] <= end:
            when, _, alarm = heapq.heappop(self._alarms)
            self.seconds = max(self.seconds, when)
            if alarm.callback is not None:
                alarm.callback()
        self.seconds = end

    @property
    def alarms(self):
        return [alarm for _, _, alarm in self._alarms if alarm.callback is not None]


class FakeAlarm:
    def __init__(self, callback):
        self.callback = callback

    def cancel(self):
        self.callback = None


class Bench:
    """Lanes and a real sender in front of a stand-in vendor, and all that was settled."""

    def __init__(self, vendor, credentials=None, clock=None, **settings):
        self.vendor = vendor
        self.clock = clock or FakeClock()
        self.counters = Counters()
        self.dead = []
        self.settled = []
        self.sender = new_sender(Credentials(credentials or {}), to_loopback())
        self.lanes = Lanes(
            self.sender,
            self.counters,
            clock=self.clock,
            on_dead=lambda delivery, outcome: self.dead.append((delivery, outcome)),
            **{"chance": lambda: 1.0, **settings},
        )

    def deliver(
        self,
        path="/collect",
        *,
        url=None,
        component=PLAIN,
        tag="tag",
        rules=None,
        life_s=3_600,
        is_again=False,
        is_alone=False,
        **said,
    ):
        request = OutgoingRequest("POST", (url or self.vendor.url) + path, **said)
        delivery = Delivery(
            tag=tag,
            component=component,
            request=request,
            rules=rules or DeliveryRules(timeout_s=2.0),
            on_settled=lambda outcome: self.settled.append((delivery, outcome)),
            expires_micros=self.clock.unix_micros() + int(life_s * 1_000_000),
            walked=WalkedDelivery(request, is_alone=is_alone),
            is_again=is_again,
        )
        self.lanes.deliver(delivery)
        return delivery

    def outcome_of(self, delivery):
        outcomes = [outcome for settled, outcome in self.settled if settled is delivery]
        assert len(outcomes) <= 1, "settled more than once"
        return outcomes[0] if outcomes else None

    async def until(self, condition):
        """Let the event loop run until `condition()`; time itself does not pass in the lanes."""
        await until(condition)

    async def attempted(self, delivery, attempts):
        """Until that many attempts of the delivery have been judged."""
        await self.until(lambda: delivery.walked.attempts >= attempts or self.outcome_of(delivery))

    async def close(self):
        await self.lanes.close()
        await self.sender.close()


@asynccontextmanager
async def bench(credentials=None, *, vendor=None, **settings):
    async with vendor or Vendor() as running:
        it = Bench(running, credentials, **settings)
        try:
            yield it
        finally:
            await it.close()


def literal(**values):
    return {name: CredentialSource(literal=value) for name, value in values.items()}


def meta_event(event_id, **more):
    event = {
        "event_name": "PageView",
        "event_time": NOON_MICROS // 1_000_000,
        "event_id": event_id,
        "user_data": {"client_user_agent": "x"},
        **more,
    }
    return json.dumps(event).encode()
