"""The pieces of a hit, each as a function that does its work once: what `instructions.py` counts.

`compiled` and `pipelines` are the same instructions each time, so they can have a budget. What runs on an
event loop (`looped`) depends on its timing: it is counted for the ledger of docs/performance.md only. The
kernel's share (sockets) is never counted.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import msgspec
from msgspec import Raw, Struct

from benchmarks.fire import CONTAINERS, MATCHING, PATTERNS, Counted, contenders
from benchmarks.hits import (
    ADDRESS,
    HEADERS,
    MICROS,
    make_hits,
    page_view,
    shop_container,
    shop_requests,
    wire_of,
)
from benchmarks.hits import request_of as hit_of
from benchmarks.interleaved import Contender
from sgtm._fast.collect import add_request_data, find_parameter, parse_collect
from sgtm._fast.cookies import find_cookie, find_cookies, first_values
from sgtm._fast.encode import encode_query
from sgtm._fast.identifiers import hash_fields, hash_first, set_variant, sha256_hex_many, web_safe_base64
from sgtm._fast.vendor_http import authority_size, read_answer, write_request
from sgtm.container.container import Container, ContainerClient, ContainerTag, Endpoint, Origins, View
from sgtm.delivery.credentials import Credentials
from sgtm.delivery.egress import Egress
from sgtm.delivery.exchange import Came, Exchange, OnEnd, Started
from sgtm.delivery.judge import request_of
from sgtm.delivery.lanes import Delivery, Lanes
from sgtm.delivery.outbox.memory import MemoryOutbox
from sgtm.delivery.sender import SENDERS, Sender, make_sender
from sgtm.event import make_event
from sgtm.identifiers import RULES
from sgtm.messages import (
    DONE,
    Answer,
    Claimed,
    IncomingRequest,
    Outcome,
    OutgoingRequest,
    VendorAnswer,
)
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk
from sgtm.pipeline import Pipeline
from sgtm.preview.sessions import Sessions
from sgtm.server.admission import Admission
from sgtm.server.application import Application
from sgtm.server.connection import Listener
from sgtm.server.edge import Edge
from sgtm.server.health import Health
from sgtm.server.limits import Limits
from sgtm.server.memory import MemoryGuard
from sgtm.server.preview_questions import Opening
from sgtm.server.previewing import Previews
from sgtm.server.proxy import TrustedProxies
from sgtm.server.rate import Rates
from sgtm.server.reception import Reception
from sgtm.server.watching import Runs
from sgtm.settings import Settings
from sgtm.tags._meta.event import SAID
from sgtm.tags._meta.user_data import PERSON

GOOGLE = (
    b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\nDate: Mon, 06 Jul 2026 10:00:00 GMT\r\n"
    b"Pragma: no-cache\r\nCache-Control: no-cache, no-store, must-revalidate\r\nContent-Type: text/plain\r\n"
    b"Cross-Origin-Resource-Policy: cross-origin\r\nServer: Golfe2\r\nContent-Length: 0\r\n\r\n"
)
COOKIES = dict(HEADERS)[b"cookie"]
DIGESTED: list[bytes | str] = ["john_smith@gmail.com", "16505551212", "maryjane", "oconnor", "sanfrancisco"]
NAMES = (b"_fbp", b"_fbc", b"_fbi")
VISITOR = {
    "email": "Jane.Doe@Example.com",
    "phone_number": "+44 7911 123456",
    "address": {
        "first_name": "Jane",
        "last_name": "Doe",
        "city": "London",
        "postal_code": "SW1A 1AA",
        "country": "GB",
    },
}
PERSON_DATA = {
    "event_id": "order-T_12345",
    "page_location": "https://www.shop.example/checkout/thanks",
    "user_data": VISITOR,
}
SHOP_HITS = {"page_view": "1-page_view", "purchase": "3-purchase"}


class Workload(Struct, frozen=True):
    """One piece of work. `run` does it once and says whether it came out right; `times` is how often it is
    run for one count."""

    name: str
    run: Callable[[], bool]
    times: int = 200
    hits: int = 1
    """Hits (or requests) in one run; the count is given for one of them."""


# -- the compiled core --------------------------------------------------------------------------


def compiled() -> Iterator[Workload]:
    """Every compiled function that a collect hit meets."""
    purchases, page_views = cycle(make_hits(20)), cycle(make_hits(20, shape=page_view))
    url, lines = b"&".join(make_hits(1)[0].split(b"&")[:24]), b"\r\n".join([b"en=scroll&epn.x=90"] * 5)
    events = parse_collect(make_hits(1)[0], b"")
    data = cycle([parse_collect(hit, b"")[0] for hit in make_hits(20)])

    def add_data() -> bool:
        add_request_data(events, HEADERS, ADDRESS, MICROS)
        return "ip_override" in events[0]

    to_google = "https://region1.google-analytics.com/g/collect?" + make_hits(1)[0].decode("ascii")
    sent = (
        ("Content-Type", "text/plain;charset=UTF-8"),
        ("User-Agent", dict(HEADERS)[b"user-agent"].decode()),
    )

    def write() -> bool:
        size = authority_size(to_google)
        return write_request("POST", to_google, size, to_google[8:size], sent, b"") is not None

    set_variant("portable")  # valgrind knows no SHA-NI, so every machine counts the same
    yield Workload("parse purchase", lambda: "items" in parse_collect(next(purchases), b"")[0])
    yield Workload("parse page_view", lambda: "event_name" in parse_collect(next(page_views), b"")[0])
    yield Workload("parse batch of five", lambda: len(parse_collect(url, lines)) == 5)
    yield Workload("add request data", add_data)
    yield Workload("find a parameter", lambda: find_parameter(url, b"tid") == "G-ABC123DEF4")
    yield Workload("encode purchase", lambda: encode_query(next(data)).startswith(b"v=2&"))
    yield Workload("find a cookie", lambda: find_cookie(COOKIES, b"_fbp") is not None)
    yield Workload("find all of a cookie", lambda: len(find_cookies(COOKIES, b"_fbp")) == 1)
    yield Workload("write a vendor's request", write)
    yield Workload("read a vendor's answer", lambda: read_answer(GOOGLE)[0] == 204)  # type: ignore[index]
    yield Workload("first of three cookies", lambda: first_values(HEADERS, NAMES)[0] is not None)
    yield from _persons()
    yield Workload("five digests", lambda: len(sha256_hex_many(DIGESTED)) == 5)


def _persons() -> Iterator[Workload]:
    """Who an event is about: what it says, raw, as Meta takes it, as Google takes it."""
    google, names = RULES["google"], ("sha256_email_address", "email_address", "email")
    raw = PERSON.read(PERSON_DATA)
    digest = "0123456789abcdef" * 4
    yield Workload("read what an event says", lambda: len(SAID.read(PERSON_DATA)) == 2)
    yield Workload("read a person", lambda: len(PERSON.read(PERSON_DATA)) == 7)
    yield Workload("hash a person for Meta", lambda: len(hash_fields(RULES["meta"], raw, 2025)) == 7)
    email = google["email_address"]
    yield Workload("hash an e-mail for Google", lambda: len(hash_first(VISITOR, email, names)) == 1)
    yield Workload("a digest in base64", lambda: len(web_safe_base64(digest)) == 43)


# -- the pipeline -------------------------------------------------------------------------------


class SettledAtOnce:
    """Lanes without a network: every delivery has arrived."""

    def deliver(self, delivery: Delivery) -> None:
        """Settle it."""
        delivery.on_settled(DONE)


def pipelines() -> Iterator[Workload]:
    """The demo shop's hits from the request to the answer, and the parts of that."""
    container = shop_container()
    for name, recorded in SHOP_HITS.items():
        yield Workload(f"pipeline {name}", _pipeline(container, recorded), 100)
        yield from _parts(container, name, recorded)
    yield from _firings()
    yield from _refusals()


def _firings() -> Iterator[Workload]:
    """What tags cost that do not fire, and what 100 patterns cost: see `fire.py`."""
    requests = cycle([hit_of(hit, number=number) for number, hit in enumerate(make_hits(20))])
    for containers in (CONTAINERS, PATTERNS):
        for contender, lanes in contenders(containers):

            def run(contender: Contender[IncomingRequest] = contender, lanes: Counted = lanes) -> bool:
                before = lanes.count
                contender.work(next(requests))
                return lanes.count - before == MATCHING

            yield Workload(f"pipeline {contender.name}", run, 100)


def _pipeline(container: Container, recorded: str) -> Callable[[], bool]:
    counters = Counters()
    outbox = MemoryOutbox()
    pipeline = Pipeline(container, outbox, SettledAtOnce(), counters)
    requests = cycle(shop_requests(recorded))

    def run() -> bool:
        answer = pipeline.run(next(requests))
        return isinstance(answer, Answer) and answer.status == 204 and len(outbox) == 0

    return run


def _refusing_pipeline(*measurement_ids: str) -> Pipeline:
    """A GA4 client that knows its property and its site."""
    component = shop_container().clients[0].component
    parameters = component.parameters_type(measurement_ids=measurement_ids)
    origins = Origins(frozenset({"https://www.shop.example"}))
    client = ContainerClient("GA4", component, parameters, 0, ("/g/collect",), origins, (), 0, 1.0)
    container = Container("refusing", "1", (client,), (), {}, (), (), {}, 400, False)
    return Pipeline(container, MemoryOutbox(), SettledAtOnce(), Counters())


def _refusals() -> Iterator[Workload]:
    """Hits that are refused before anything is parsed: by their measurement id, their origin, a rate."""
    pipeline = _refusing_pipeline("G-ABC123DEF4")
    rates = Rates(Settings(collect_rate=1, client_id_rate=1, rate_burst=1), Counters())

    def refused(query: bytes, origin: bytes, status: int) -> Callable[[], bool]:
        headers = tuple((name, origin if name == b"origin" else value) for name, value in HEADERS)
        request = hit_of(query, headers)

        def run() -> bool:
            answer = pipeline.refuse(request)
            return answer is not None and answer.status == status

        return run

    def flood() -> bool:
        request, endpoint = hit_of(query), pipeline.endpoint("/g/collect", "sst.shop.example")
        is_let_in = pipeline.refuse(request) is None
        wait_s = rates.wait_s(endpoint, request.path, request.query, request.remote_address, 100.0)
        return is_let_in and wait_s > 0 and pipeline.drop(request).status == 204

    query, ours = make_hits(1, shape=page_view)[0], b"https://www.shop.example"
    rates.wait_s(pipeline.endpoint("/g/collect", "sst.shop.example"), "/g/collect", query, ADDRESS, 100.0)
    yield Workload("- refused by measurement id", refused(query.replace(b"G-ABC", b"G-XYZ"), ours, 204))
    yield Workload("- refused by origin", refused(query, b"https://evil.example", 403))
    yield Workload("- refused by rate", flood)


def _parts(container: Container, name: str, recorded: str) -> Iterator[Workload]:
    client = container.clients[0]
    requests = shop_requests(recorded)
    following = cycle(requests)

    def claim() -> Claimed:
        said = client.component.function(next(following), client.parameters)
        assert isinstance(said, Claimed)
        return said

    yield Workload(f"- claim {name}", lambda: bool(claim().events))
    made = cycle([(claim().events[0], request) for request in requests])

    def event() -> bool:
        data, request = next(made)
        return make_event(data, request, client.name, 0).name == name

    yield Workload(f"- event and consent {name}", event)
    views = [View(make_event(*next(made), client.name, 0), container) for _ in requests]
    for tag in container.tags_for(name):
        yield Workload(f"- tag {tag.name} {name}", _build(tag, cycle(views)))


def _build(tag: ContainerTag, views: Iterator[View]) -> Callable[[], bool]:
    def run() -> bool:
        known = next(views)
        view = View(known.event, known.container)
        return len(tag.component.function(view.event, tag.parameters(view)).requests) == 1

    return run


# -- what runs on an event loop -----------------------------------------------------------------


def looped(loop: asyncio.AbstractEventLoop, vendor: str) -> Iterator[Workload]:
    """Lanes (with a sender that answers soon), the sender (to a real `vendor`), both together, the server (on
    a transport that keeps what is written); 64 under way at a time."""
    for tag, request in sent_by_shop():
        yield Workload(f"- lane of {tag.name}", _through_lane(loop, tag, request, AnsweredSoon()), 5, 64)
    os.environ.setdefault("META_ACCESS_TOKEN", "a-token-for-the-stand-in")
    credentials = Credentials(shop_container().credentials)
    for tag, request in sent_by_shop(vendor):
        sendable = request_of([Delivery(tag.name, tag.component, request, tag.delivery, id, 0)])
        assert isinstance(sendable, OutgoingRequest)
        for kind, make in SENDERS.items():
            sender = make(credentials, Egress(["127.0.0.1"]))
            yield Workload(f"- {kind} sender for {tag.name}", _send(loop, sender, sendable), 5, 64)
        sender = make_sender("lean", credentials, Egress(["127.0.0.1"]))
        yield Workload(f"- lane and sender for {tag.name}", _through_lane(loop, tag, request, sender), 5, 64)
    for way, is_edge in (("server", False), ("edge", True)):
        yield Workload(f"- {way}", _serve(loop, AnswerAtOnce(), is_edge=is_edge), 5, 64)
        ingest = _refusing_pipeline("G-ABC123DEF4")
        yield Workload(f"- {way}, hit without tags", _serve(loop, ingest, is_edge=is_edge), 5, 64)
        watched = _serve(loop, ingest, is_edge=is_edge, has_session=True)
        yield Workload(f"- {way}, another's preview", watched, 5, 64)
        refusing = _refusing_pipeline("G-ANOTHER")
        yield Workload(f"- {way}, refused by id", _serve(loop, refusing, is_edge=is_edge), 5, 64)


def sent_by_shop(vendor: str = "http://127.0.0.1:9") -> list[tuple[ContainerTag, OutgoingRequest]]:
    """Everything that a purchase sends, and the tag that made it."""
    container, held = shop_container(vendor), HeldLanes()
    Pipeline(container, MemoryOutbox(), held, Counters()).run(shop_requests("3-purchase", 1)[0])
    tags = {tag.name: tag for tag in container.tags}
    return [(tags[delivery.tag], delivery.request) for delivery in held]


class HeldLanes(list[Delivery]):
    """Lanes that keep what they are given."""

    deliver = list.append


class AnsweredSoon:
    """A sender without a network."""

    def start(self, request: OutgoingRequest, timeout_s: float, on_end: OnEnd) -> Started:
        """Answers in the loop's next turn."""
        asyncio.get_running_loop().call_soon(on_end, _answer_to(request))
        return STARTED

    async def send(self, request: OutgoingRequest, timeout_s: float) -> VendorAnswer:
        """Answers at once."""
        return _answer_to(request)


def _answer_to(request: OutgoingRequest) -> VendorAnswer:
    """Meta's answer where events are sent, otherwise 204."""
    count = request.body.count(b'"event_name"')
    if not count:
        return VendorAnswer(204, (), b"")
    return VendorAnswer(200, (), b'{"events_received":%d,"fbtrace_id":"A1"}' % count)


STARTED = Exchange(b"", id, 0.0)


def _through_lane(
    loop: asyncio.AbstractEventLoop, tag: ContainerTag, request: OutgoingRequest, sender: Sender
) -> Callable[[], bool]:
    counters = Counters()

    async def deliver(lanes: Lanes) -> bool:
        outcomes: list[Outcome] = []
        for _ in range(64):
            lanes.deliver(Delivery(tag.name, tag.component, request, tag.delivery, outcomes.append, 2**60))
        await lanes.drain(10.0)
        return [outcome.kind for outcome in outcomes] == ["done"] * 64

    async def make() -> Lanes:
        return Lanes(sender, counters)

    lanes = loop.run_until_complete(make())
    return lambda: loop.run_until_complete(deliver(lanes))


def _send(loop: asyncio.AbstractEventLoop, sender: Sender, request: OutgoingRequest) -> Callable[[], bool]:
    async def send() -> bool:
        """As lanes do: started where that can be, otherwise awaited."""
        came: list[Came] = []
        is_complete = asyncio.Event()

        def note(answer: Came) -> None:
            came.append(answer)
            if len(came) == 64:
                is_complete.set()

        waiting = [sender.send(request, 30.0) for _ in range(64) if sender.start(request, 30.0, note) is None]
        for answer in await asyncio.gather(*waiting):
            note(answer)
        await is_complete.wait()
        return all(isinstance(answer, VendorAnswer) and answer.status < 300 for answer in came)

    return lambda: loop.run_until_complete(send())


class AnswerAtOnce:
    """A pipeline that does nothing."""

    def endpoint(self, path: str, host: str) -> Endpoint | None:
        """Nobody's."""
        return None

    def refuse(self, request: IncomingRequest) -> Answer | None:
        """Nothing is refused."""
        return None

    def drop(self, request: IncomingRequest) -> Answer:
        """204."""
        return Answer(204)

    def run(self, request: IncomingRequest, walk: Walk | None = None) -> Answer:
        """204."""
        return Answer(204)


class Written(asyncio.Transport):
    """A connection whose other end is a list."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50_000), "sockname": ("127.0.0.1", 8080)})
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """A list has none."""

    def is_closing(self) -> bool:
        """Never."""
        return False


async def _previews(pipeline: Runs) -> Previews:
    """With one session, of which these hits are none."""
    assert isinstance(pipeline, Pipeline)
    previews = Previews(Settings(), 0, pipeline, HeldLanes(), Counters(), lambda _: None, lambda _: None)
    session, _ = Sessions().open(time.time_ns() // 1_000, 3_600.0, "published", sends=True)
    await previews.questions()["preview-open"](Raw(msgspec.msgpack.encode(Opening(session))))
    return previews


def _serve(
    loop: asyncio.AbstractEventLoop, pipeline: Runs, *, is_edge: bool, has_session: bool = False
) -> Callable[[], bool]:
    settings, counters = Settings(connections_per_address=0), Counters()
    health = Health()
    proxies = TrustedProxies((), "x-forwarded")
    reception = Reception(
        pipeline,
        health,
        Limits.of(settings, ["/g/collect"]),
        Rates(settings, counters),
        MemoryGuard(0, settings, counters),
        proxies,
        counters,
    )
    if has_session:
        reception.watch = loop.run_until_complete(_previews(pipeline))
    admission = Admission(settings, proxies, counters)

    async def connect() -> tuple[asyncio.Protocol, Written]:
        transport = Written()
        listener = Listener(Application(reception).handle, settings, counters, admission)
        edge = Edge(reception, listener, settings, counters, admission)
        edge.paths = frozenset({"/g/collect"})
        connection = edge() if is_edge else listener()
        connection.connection_made(transport)
        return connection, transport

    connections = [loop.run_until_complete(connect()) for _ in range(64)]
    wires = cycle([wire_of(hit) for hit in make_hits(64)])

    async def serve() -> bool:
        for connection, transport in connections:
            transport.written.clear()
            connection.data_received(next(wires))
        for _ in range(5):
            await asyncio.sleep(0)
        heads = [b"".join(transport.written)[:12] for _, transport in connections]
        return heads == [b"HTTP/1.1 204"] * 64

    return lambda: loop.run_until_complete(serve())
