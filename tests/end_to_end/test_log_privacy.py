"""Whatever a hostile hit holds, no line of the log repeats it, at the lowest level, every request told of.

SPEC: reliability 6, logs; house rule: personal data never reach logs.
"""

import asyncio
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conftest import serving
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_http import RawConnection

from sgtm.observability.logs import REQUESTS, JsonFormatter

CONTAINER = """
sgtm: 1
name: shop
consent: {unset: granted, gate: declared}
clients:
  - {name: GA4, type: ga4}
  - {name: Shop, type: json, priority: 5, parameters: {paths: [/data]}}
  - {name: MP, type: measurement_protocol, priority: 7}
triggers: [{name: Every, type: all_events}]
variables:
  - {name: Mail, type: event_data, parameters: {key_path: user_data.email}}
tags:
  - {name: Gone, type: http_request, firing_triggers: [Every], parameters: {url: "http://127.0.0.1:1/{{Mail}}"}}
  - name: Meta
    type: meta_conversions
    firing_triggers: [Every]
    parameters: {pixel_id: "{{Mail}}", access_token: "${TOKEN}", endpoint: "http://127.0.0.1:1"}
  - {name: GA4, type: ga4, firing_triggers: [Every], parameters: {measurement_id: "{{Mail}}", endpoint: "http://127.0.0.1:1"}}
"""
"""Every tag fails in a way of its own."""

cores = st.text("abcdefghkmnpqrstuvwxyz", min_size=9, max_size=9)
digits = st.text("123456789", min_size=9, max_size=9)
persons = st.one_of(
    cores.map(lambda core: (core, f"{core}@mail.example")),
    digits.map(lambda core: (core, f"+49{core}")),
    st.integers(1, 254).map(lambda last: (f"198.51.100.{last}", f"198.51.100.{last}")),
    cores.map(lambda core: (core, f"sk_live_{core}")),
    cores.map(lambda core: (core, f"\r\nX-Evil: {core}\x1b[2J")),
)
PLACES = (
    "path",
    "query name",
    "event name",
    "client id",
    "email",
    "page",
    "tid",
    "header name",
    "body",
    "json",
    "method",
)
HEADERS = (
    "Cookie",
    "User-Agent",
    "Referer",
    "Origin",
    "Authorization",
    "X-Forwarded-For",
    "traceparent",
    "Host",
)
hits = st.fixed_dictionaries(
    {
        "way": st.sampled_from(["/g/collect", "/data", "/mp/collect", "/elsewhere"]),
        "persons": st.dictionaries(st.sampled_from(PLACES), persons, min_size=1, max_size=4),
        "headers": st.dictionaries(st.sampled_from(HEADERS), persons, max_size=3),
    }
)


def wire(hit: dict[str, Any]) -> bytes:
    """The hit as bytes, each person's data where it says."""
    told = {place: text for place, (_, text) in hit["persons"].items()}
    path = hit["way"] + (f"/{quote(told['path'])}" if "path" in told else "")
    pairs = [("v", "2"), ("tid", told.get("tid", "G-1")), ("cid", told.get("client id", "1.2"))]
    pairs += [
        ("en", told.get("event name", "page_view")),
        ("event_name", told.get("event name", "page_view")),
    ]
    pairs += [
        ("dl", told.get("page", "https://shop.example/")),
        ("ep.user_data.email", told.get("email", "x")),
    ]
    pairs += [(told["query name"], "1")] if "query name" in told else []
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
    body = told.get("body", "")
    if "json" in told:
        person = quote(told["json"])
        body = f'{{"event_name": "{person}", "user_data": {{"email": "{person}"}}, "x": ['
    method = quote(told["method"], safe="") if "method" in told else "POST" if body else "GET"
    lines = [
        f"{method} {path}?{query} HTTP/1.1",
        "Host: shop.example",
        f"Content-Length: {len(body.encode())}",
    ]
    lines += [f"{name}: {quote(text)}" for name, (_, text) in hit["headers"].items() if name != "Host"]
    lines += [f"X-{quote(told['header name'], safe='')}: 1"] if "header name" in told else []
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body.encode()


class Lines(logging.Handler):
    """All lines, as they are written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def test_no_line_of_the_log_repeats_anything_of_a_hostile_hit(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TOKEN", "a-token")
    kept, root, requests = Lines(), logging.getLogger(), logging.getLogger(REQUESTS)
    monkeypatch.setattr(root, "level", logging.DEBUG)
    monkeypatch.setattr(requests, "level", logging.DEBUG)
    monkeypatch.setattr(logging.getLogger("asyncio"), "level", logging.CRITICAL)
    root.addHandler(kept)
    seen: set[str] = set()
    try:
        with asyncio.Runner() as runner:
            serve = serving(tmp_path, "on")
            start = runner.run(serve.__aenter__())
            served = runner.run(
                start(CONTAINER, log_requests=1.0, trusted_proxies=("127.0.0.1/32",), log_level="debug")
            )

            @settings(max_examples=100)
            @given(st.lists(hits, min_size=1, max_size=3))
            def check(several: list[dict[str, Any]]) -> None:
                kept.lines.clear()
                for hit in several:
                    runner.run(send(served.port, wire(hit)))
                text = "\n".join(kept.lines)
                seen.update(line for line in ('"delivery"', '"request"', '"tag failed"') if line in text)
                for hit in several:
                    for core, _ in [*hit["persons"].values(), *hit["headers"].values()]:
                        assert core not in text

            check()
            runner.run(serve.__aexit__(None, None, None))
    finally:
        root.removeHandler(kept)
    assert seen == {'"delivery"', '"request"', '"tag failed"'}


async def send(port: int, data: bytes) -> None:
    async with RawConnection(port) as connection:
        connection.send(data)
        async with asyncio.timeout(10):
            await connection.reader.read(-1)
    await asyncio.sleep(0.001)  # deliveries begin
