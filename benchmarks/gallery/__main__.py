"""Public gallery templates on three engines, interleaved: ours, QuickJS-NG, and V8 in Node's `vm`.

    python -m benchmarks.gallery FOLDER [--rounds 9]

FOLDER holds the templates, each as a file whose name holds what TEMPLATES says (clone the repositories
that docs/templates.md names; nothing of them is part of sgtm). Every run gets the same event of 1.2 KB with
headers and cookies. Ours is measured as a server runs it: permissions checked, limits counted, effects as
Python objects, each request answered with 200 at once. The others get one JSON text and give one, with the
APIs in JavaScript (`prelude.js`) and neither permissions nor limits; hashes and URLs are the host's, and
QuickJS keeps its host's answers, so that their price is not its own.

What is not alike, in their favour: cookies and headers come parsed; a cookie that is set is neither encoded
nor checked, a request's address, headers and body neither; a pattern's text is whatever their engine makes of
it, in whatever time. In ours: they read 1.2 KB of JSON and write what they want done, where ours reads and
leaves objects (some 4 us of V8's, 10 of QuickJS's).

Before anything is timed the requests that a template sends are compared between the engines. Also told: how
long a container with 50 templates takes to load, and the native Meta tag beside the two Meta templates.
"""

import argparse
import base64
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import msgspec
import quickjs
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.interleaved import ratio, turns
from benchmarks.results import save
from sgtm.component import find
from sgtm.container.compile import load_container
from sgtm.cookies import registrable_domain
from sgtm.event import Event, make_event
from sgtm.messages import IncomingRequest, OutgoingRequest, TagResult, VendorAnswer
from sgtm.templates.adapt import TemplateKind, component_of
from sgtm.templates.code import Code, compiled
from sgtm.templates.host import ContainerFacts
from sgtm.templates.running import TemplateRun
from sgtm.templates.surroundings import Surroundings

Sent = tuple[str, str, Any]
"""Method, URL, body."""
HERE = Path(__file__).parent
LIMIT_S = 240.0
LOADED = 50
NOW_MS = 1_764_000_000_000
COOKIES = {"_ga": "GA1.1.1307714608.1760043792", "_fbp": "fb.1.1760043840841.908083253", "_ttp": "abcdef"}
HEADERS = {
    "host": "sst.shop.example",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36",
    "referer": "https://www.shop.example/",
    "accept-language": "en-GB,en;q=0.9",
    "cookie": "; ".join(f"{name}={value}" for name, value in COOKIES.items()),
}
EVENT: dict[str, Any] = {
    "event_name": "purchase",
    "client_id": "1234567890.1700000000",
    "ip_override": "203.0.113.7",
    "user_agent": HEADERS["user-agent"],
    "page_location": "https://www.shop.example/thanks?utm_source=news&fbclid=FB1&gclid=abc",
    "page_referrer": "https://search.example/",
    "page_title": "Thank you",
    "page_hostname": "www.shop.example",
    "language": "en-gb",
    "screen_resolution": "1920x1080",
    "ga_session_id": "1700000001",
    "ga_session_number": 3,
    "event_id": "E-77",
    "value": 129.9,
    "currency": "EUR",
    "transaction_id": "T-10042",
    "user_data": {
        "email_address": "jane.doe@example.com",
        "phone_number": "+491701234567",
        "address": {"first_name": "Jane", "last_name": "Doe", "city": "Berlin", "country": "DE"},
    },
    "items": [
        {"item_id": f"SKU{number}", "item_name": f"Thing {number}", "price": 10 + number, "quantity": number}
        for number in range(1, 4)
    ],
}
STAPE = {"adStorageConsent": "optional", "logType": "no", "bigQueryLogType": "no"}
TEMPLATES: dict[str, dict[str, Any]] = {
    "stape-io+facebook-tag": STAPE
    | {"inheritEventName": "inherit", "actionSource": "website", "accessToken": "T", "pixelId": "2"},
    "facebookincubator+ConversionsAPI": {
        "pixelId": "1",
        "apiAccessToken": "T",
        "actionSource": "website",
        "extendCookies": False,
    },
    "stape-io+tiktok-tag": STAPE
    | {"eventType": "standard", "eventName": "CompletePayment", "eventSource": "web"}
    | {"accessToken": "T", "pixelId": "P"},
    "snowplow+snowplow-gtm": {
        "collectorUrl": "https://collector.snow.example",
        "userIdCookie": "sp",
        "cookieDomain": "auto",
        "cookiePath": "/",
        "cookieSameSite": "None",
        "cookieExpiration": "63072000",
        "cookieHttpOnly": True,
        "cookieSecure": True,
        "encodeBase64": True,
        "platform": "srv",
        "logType": "no",
    },
    "mbaersch+plausible": {
        "endpointUrl": "https://plausible.io/api/event",
        "domain": "shop.example",
        "timeout": "1000",
        "logType": "no",
    },
    "tiktok+gtm-template-eapi": {
        "pixel_code": "P",
        "access_token": "T",
        "event": "CompletePayment",
        "object_property_source": "ga",
        "logType": "no",
    },
    "ip-anonymizer": {"ipAddress": "203.0.113.77", "ip": "203.0.113.77"},
}
REQUEST = IncomingRequest(
    method="POST",
    path="/g/collect",
    query=b"v=2",
    headers=tuple((name.encode(), value.encode()) for name, value in HEADERS.items()),
    body=b"",
    remote_address="203.0.113.7",
    is_peer_trusted=False,
    scheme="https",
    host="sst.shop.example",
    received_micros=NOW_MS * 1000,
    seed=1,
)
CONTEXT = json.dumps(
    {
        "event": EVENT,
        "headers": HEADERS,
        "cookies": COOKIES,
        "query": {"v": "2"},
        "queryString": "v=2",
        "ip": "203.0.113.7",
        "now": NOW_MS,
    }
)
ANSWER = VendorAnswer(200, (), b"{}")


class Row(Struct):
    """One template: microseconds of a run, and how many times as long the others take."""

    name: str
    ours_us: float
    quickjs_us: float | None = None
    node_us: float | None = None
    x_quickjs: float | None = None
    x_node: float | None = None


# -- three engines -------------------------------------------------------------------------------


class Ours:
    """Our engine, as a server uses it."""

    def __init__(self, code: Code, fields: dict[str, Any]) -> None:
        around = Surroundings(ContainerFacts("GTM-1", "1"))
        self._kind: TemplateKind = "variable" if code.template.kind == "variable" else "tag"
        self._function = component_of(self._kind, code, around, "benchmark").function
        self._parameters = msgspec.convert(fields, code.parameters_type)
        self.asked: list[OutgoingRequest] = []

    def run(self, event: Event) -> Any:
        """One run; each request is answered at once."""
        found = self._function(event, self._parameters)
        while isinstance(found, TemplateRun):
            for ask in found.take_asks():
                self.asked.append(ask.request)
                found.answered(ask, ANSWER)
            if found.is_over:
                return found.result()
        return found

    def sent(self) -> list[Sent]:
        """The requests of one run."""
        self.asked = []
        result = self.run(events(1)[0])
        if not isinstance(result, TagResult):
            return []
        if result.failure:
            raise SystemExit(f"ours: {result.failure}")
        return [(one.method, one.url, decoded(one.body)) for one in (*self.asked, *result.requests)]

    def us(self, count: int) -> float:
        """Microseconds of one run."""
        self.asked = []
        given = events(count)
        began = time.perf_counter()
        for event in given:
            last = self.run(event)
        taken = time.perf_counter() - began
        if isinstance(last, TagResult) and last.failure:
            raise SystemExit(f"ours, after {count} runs: {last.failure}")
        return taken / count * 1e6


def events(count: int) -> list[Event]:
    """As many events, each of a request of its own: what runs of one request do to its answer adds up."""
    return [make_event(EVENT, replace(REQUEST), "GA4", 0) for _ in range(count)]


class QuickJs:
    """QuickJS-NG in this process."""

    def __init__(self, source: str, fields: dict[str, Any]) -> None:
        context = quickjs.Context()
        for name, function in HOST.items():
            context.add_callable(name, function)
        names = ", ".join(HOST)
        context.eval(f"globalThis.HOST = {{ {names} }};" + PRELUDE)
        self._run = context.eval("make")(source)
        self._fields = json.dumps(fields)

    def out(self) -> str:
        """Effects and value of one run, as JSON."""
        return cast(str, self._run(CONTEXT, self._fields))

    def us(self, count: int) -> float:
        """Microseconds of one run."""
        began = time.perf_counter()
        for _ in range(count):
            self._run(CONTEXT, self._fields)
        return (time.perf_counter() - began) / count * 1e6


class Node:
    """A Node process; see `node.mjs`."""

    def __init__(self) -> None:
        command = ["node", str(HERE / "node.mjs")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **asked: Any) -> dict[str, Any]:
        """One line there and back."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return cast(dict[str, Any], json.loads(self.process.stdout.readline()))

    def run(self, name: str, fields: dict[str, Any], count: int) -> dict[str, Any]:
        """So many runs."""
        return self.ask(run=name, context=CONTEXT, fields=json.dumps(fields), count=count)

    def close(self) -> None:
        """The end."""
        self.process.communicate(timeout=10)


@cache
def _sha256(text: str, encoding: str) -> str:
    digest = hashlib.sha256(text.encode())
    return digest.hexdigest() if encoding == "hex" else base64.b64encode(digest.digest()).decode()


@cache
def _url(text: str) -> str:
    parts = urlsplit(text)
    search = f"?{parts.query}" if parts.query else ""
    return json.dumps(
        {
            "href": text,
            "origin": f"{parts.scheme}://{parts.netloc}",
            "protocol": f"{parts.scheme}:",
            "username": "",
            "password": "",
            "host": parts.netloc,
            "hostname": parts.hostname or "",
            "port": "",
            "pathname": parts.path or "/",
            "search": search,
            "searchParams": {name: values[0] for name, values in parse_qs(parts.query).items()},
            "hash": f"#{parts.fragment}" if parts.fragment else "",
        }
    )


HOST: dict[str, Callable[..., Any]] = {
    "sha256": _sha256,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "unbase64": lambda text: base64.b64decode(text).decode(),
    "url": _url,
    "site": cache(lambda text: registrable_domain(urlsplit(text).hostname or text) or text),
}
PRELUDE = (HERE / "prelude.js").read_text()


def decoded(body: bytes | str | None) -> Any:
    """A body, so that two can be compared whatever the order of their keys."""
    try:
        return json.loads(body or "null")
    except ValueError:
        return body.decode() if isinstance(body, bytes) else body


def sent_by(out: str) -> list[Sent]:
    """The requests among effects."""
    effects = json.loads(out)["effects"]
    return [
        ((one[2] or {}).get("method", "GET").upper(), one[1], decoded(one[3] if len(one) > 3 else None))
        for one in effects
        if one[0] == "send"
    ]


def differs(mine: list[Sent], theirs: list[Sent]) -> bool:
    """Whether two engines send other requests, ids and times of chance aside."""
    return [_shape(one) for one in mine] != [_shape(one) for one in theirs]


def _shape(sent: Sent) -> Any:
    method, url, body = sent
    return method, url.partition("?")[0], _keys(body)


def _keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _keys(member) for key, member in sorted(value.items())}
    if isinstance(value, list):
        return [_keys(member) for member in value]
    return type(value).__name__


# -- the run -------------------------------------------------------------------------------------


def measure(folder: Path, node: Node, rounds: int) -> list[Row]:
    """All templates that the folder has."""
    entries: list[Entry] = []
    for part, fields in TEMPLATES.items():
        found = [path for path in sorted(folder.rglob("*.tpl")) if part in str(path.relative_to(folder))]
        if not found:
            print(f"{part}: not in the folder", file=sys.stderr)
            continue
        entries.append(_entry(part, compiled(found[0].read_text("utf-8-sig"), part), fields, node))
    times: dict[str, list[list[float]]] = {entry.name: [[], [], []] for entry in entries}
    for entry in turns(entries, rounds, "gallery", LIMIT_S):
        node_us = node.run(entry.name, entry.fields, entry.count)["us"]
        measured = (entry.ours.us(entry.count), entry.quickjs.us(entry.count), node_us)
        for column, us in zip(times[entry.name], measured, strict=True):
            column.append(us)
    rows = [_row(name, *columns) for name, columns in times.items()]
    return [*rows, _native(rounds)]


class Entry(Struct):
    """One template on three engines."""

    name: str
    fields: dict[str, Any]
    ours: Ours
    quickjs: QuickJs
    count: int


def _entry(name: str, code: Code, fields: dict[str, Any], node: Node) -> Entry:
    source = code.template.code
    one, other = Ours(code, fields), QuickJs(source, fields)
    node.ask(load=name, code=source)
    mine, quick = one.sent(), sent_by(other.out())
    for engine, theirs in (("QuickJS", quick), ("Node", sent_by(node.run(name, fields, 1)["out"]))):
        if differs(mine, theirs):
            print(f"{name}: {engine} sends other requests\n  {mine}\n  {theirs}", file=sys.stderr)
    count = max(5, int(20_000 / max(one.us(20), 1.0)))
    node.run(name, fields, 3 * count)  # the compiler of V8 wants to have seen it
    return Entry(name, fields, one, other, count)


def _row(name: str, mine: list[float], quick: list[float], node: list[float]) -> Row:
    middle = [statistics.median(column) for column in (mine, quick, node)]
    return Row(name, *middle, ratio(quick, mine), ratio(node, mine))


def _native(rounds: int) -> Row:
    """The Meta tag of our own, for the same event."""
    component = find("tag", "meta_conversions")
    assert component is not None
    written = {"pixel_id": "1", "access_token": {"name": "T"}}
    parameters = msgspec.convert(written, component.parameters_type)
    event = make_event(EVENT, REQUEST, "GA4", 0)
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(300):
            component.function(event, parameters)
        times.append((time.perf_counter() - began) / 300 * 1e6)
    return Row("the native Meta tag", statistics.median(times))


def load_s(folder: Path) -> float:
    """How long a container with 50 templates takes to load; the first time, so nothing is remembered."""
    paths = sorted(folder.rglob("*.tpl"))
    lines = ["sgtm: 1", "name: many", "consent: {unset: granted, gate: declared}", "custom_templates:"]
    with tempfile.TemporaryDirectory() as place:
        for number in range(LOADED):
            text = paths[number % len(paths)].read_text("utf-8-sig")
            Path(place, f"{number}.tpl").write_text(text)
            lines.append(f"- {{name: T{number}, file: {number}.tpl}}")
        container = Path(place, "container.yaml")
        container.write_text("\n".join(lines) + "\n")
        compiled.cache_clear()
        began = time.perf_counter()
        load_container(container)
        return time.perf_counter() - began


def main() -> int:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    node = Node()
    try:
        rows = measure(options.folder, node, options.rounds)
    finally:
        node.close()
    print(f"{'template':36}{'ours us':>9}{'quickjs':>9}{'node vm':>9}{'x quickjs':>11}{'x node':>8}")
    for row in rows:
        others = (row.quickjs_us, row.node_us, row.x_quickjs, row.x_node)
        told = "".join(f"{value:10.2f}" if value is not None else f"{'-':>10}" for value in others)
        print(f"{row.name:36}{row.ours_us:9.1f}{told}")
    print(f"a container with {LOADED} templates loads in {load_s(options.folder):.2f} s")
    save("gallery", rows, sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
