"""Readers of HTTP and of what stands before it: each a function of arbitrary bytes (see targets.py)."""

import asyncio
import re
from collections.abc import Iterable
from typing import Any

import h11
import uvloop
from fast.test_http import BOUNDS, said
from httptools import HttpParserError, HttpRequestParser
from reference import http as twin
from two_ways import Way, disagreement, other_opinion

from sgtm._fast import http
from sgtm._fast.vendor_http import read_answer
from sgtm.delivery.answer_reader import AnswerReader
from sgtm.delivery.errors import BadAnswer
from sgtm.server.proxy_protocol import MAX_V2_BYTES, read_proxy_header


def head(data: bytes) -> None:
    """The scanner of the edge says what its twin says; what is plain to it, llhttp and h11 read alike."""
    start = data[0] if data and data[0] < 4 else 0
    for bounds in (BOUNDS, (40, 30, 60, 3)):
        found = http.scan_head(data, start, bounds)
        assert said(found) == said(twin.scan_head(data, start, bounds))
    found = http.scan_head(data, start, BOUNDS)
    if isinstance(found, http.PlainRequest):
        whole = data[start : start + found.head_bytes + found.body_bytes]
        whole += (
            bytes(found.head_bytes + found.body_bytes - len(whole)) if found.body_bytes < 1 << 16 else b""
        )
        if len(whole) == found.head_bytes + found.body_bytes:
            _read_alike(found, whole)


def _read_alike(found: http.PlainRequest, whole: bytes) -> None:
    body = whole[found.head_bytes :]
    target = found.path.encode() + whole[len(found.method) + 1 + len(found.path) :].partition(b" ")[0]
    ours = (found.method.encode(), target, [*found.headers], body)
    assert _of_llhttp(whole) == ours, "llhttp reads another request"
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(whole)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    read = b""
    while isinstance(data := connection.next_event(), h11.Data):
        read += bytes(data.data)
    assert isinstance(data, h11.EndOfMessage), "h11 finds another end"
    assert (event.method, event.target, [*event.headers], read) == ours, "h11 reads another request"
    assert connection.trailing_data[0] == b"", "h11 finds another end"


class _Heard:
    def __init__(self) -> None:
        self.target, self.body, self.ends = b"", b"", 0
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.ends += 1


def _of_llhttp(whole: bytes) -> Any:
    heard = _Heard()
    parser = HttpRequestParser(heard)
    try:
        parser.feed_data(whole)
    except HttpParserError as error:
        return error
    assert heard.ends == 1, "llhttp finds another end"
    return parser.get_method(), heard.target, heard.headers, heard.body


class _TwoWays:
    """Both workers, made once: they live as long as the process."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._on, self._off = Way(edge="on"), Way(edge="off")
        for way in (self._on, self._off):
            self._loop.run_until_complete(way.__aenter__())

    def compare(self, pieces: list[bytes]) -> str:
        return self._loop.run_until_complete(self._compare(pieces))

    async def _compare(self, pieces: list[bytes]) -> str:
        async with asyncio.timeout(20):
            on, off = await self._on.outcome(pieces), await self._off.outcome(pieces)
        return disagreement(on, off) or other_opinion(on, b"".join(pieces))


_two_ways: list[_TwoWays] = []


def listener(data: bytes) -> None:
    """A whole connection, cut where the bytes say: with the edge, without it and to h11 it is the same."""
    if not _two_ways:
        _two_ways.append(_TwoWays())
    cuts = sorted(byte * len(data) // 256 for byte in data[-3:] if byte < 128)
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert not (found := _two_ways[0].compare(pieces)), found


_MORE_LINE_ENDS = re.compile(rb"(\r\n\r\n)[\r\n]+\Z")


def answer(data: bytes) -> None:
    """A vendor's answer: read whole or in pieces it is the same answer or none, and h11 reads no other."""
    size = 1 + data[0] % 40 if data else 1
    data = _MORE_LINE_ENDS.sub(rb"\1", data[1:])  # a reader may pass over empty lines between two answers
    for is_for_head in (False, True):
        whole = _answer_of([data], is_for_head)
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert _answer_of(pieces, is_for_head) == whole, "read otherwise in pieces"
        plain = None if is_for_head else read_answer(data)
        if plain is not None:
            assert (plain[0], plain[2], plain[3]) == whole, "the scanner reads another answer"
        if isinstance(whole, tuple) and not is_for_head:
            theirs = _answer_of_h11(data)
            assert theirs in (None, whole[:2]), f"h11 reads {theirs}"


def _answer_of(pieces: Iterable[bytes], is_for_head: bool) -> tuple[int, bytes, bool] | str:
    reader = AnswerReader()
    reader.begin(is_for_head=is_for_head)
    left = list(pieces)
    try:
        while left and not reader.feed(left.pop(0)):
            pass
    except BadAnswer:
        return "bad"
    if not reader.is_complete and not reader.finish():
        return "not complete"
    found = reader.answer()
    return found.status, found.body, reader.may_go_on and not any(left)


def _answer_of_h11(data: bytes) -> tuple[int, bytes] | None:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    status, body = 0, b""
    try:
        connection.receive_data(data)
        connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return status, body
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None


def proxy_header(data: bytes) -> None:
    """A PROXY header: read, refused or waited for; none is longer than the protocol allows, and no byte
    behind it changes what was read."""
    try:
        found = read_proxy_header(data)
    except ValueError:
        return
    if found is None:
        assert len(data) < MAX_V2_BYTES
    else:
        assert read_proxy_header(data[: found.size] + b"GET / HTTP/1.1\r\n") == found
