"""Readers of hits, cookies, user data and webhooks: each a function of arbitrary bytes (see targets.py)."""

import json

from reference import collect as collect_twin
from reference import cookies as cookies_twin
from reference import encode as encode_twin
from reference import headers as headers_twin
from reference import identifiers as identifiers_twin

from sgtm._fast import collect, cookies, encode, headers, identifiers
from sgtm.protocols.bodies import Unreadable, read_body


def _halves(data: bytes) -> tuple[bytes, bytes]:
    """Two inputs out of one; seeds have a zero byte between them."""
    one, _, other = data.partition(b"\0")
    return one, other


def hit(data: bytes) -> None:
    """A GA4 hit becomes the events that the twin makes of it, and is encoded again as the twin does."""
    query, body = _halves(data)
    pairs = ((b"user-agent", body[:40]), (b"sec-ch-ua", query[:60]), (b"sec-ch-ua-mobile", body[:2]))
    found, other = (module.parse_collect(query, body) for module in (collect, collect_twin))
    assert repr(found) == repr(other)
    for module, events in ((collect, found), (collect_twin, other)):
        module.add_request_data(events, pairs, "203.0.113.9", 1_700_000_000_000_000)
    assert repr(found) == repr(other)
    for name in (b"v", b"en", query.partition(b"&")[0].partition(b"=")[0]):
        assert collect.find_parameter(query, name) == collect_twin.find_parameter(query, name)
    for event in found[:3]:
        assert encode.encode_request(event, 60) == encode_twin.encode_request(event, 60)


def event(data: bytes) -> None:
    """Event data of any shape that JSON can have is encoded as the twin does it."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        assert encode.encode_query(value) == encode_twin.encode_query(value)
        assert encode.encode_request(value, 100) == encode_twin.encode_request(value, 100)


def cookie(data: bytes) -> None:
    """Cookies and headers by name, as the twins find them."""
    name, header = _halves(data)
    assert cookies.find_cookie(header, name) == cookies_twin.find_cookie(header, name)
    assert cookies.find_cookies(header, name) == cookies_twin.find_cookies(header, name)
    pairs = tuple((line[:3], line[3:]) for line in header.split(b";"))
    assert headers.find_header(pairs, name) == headers_twin.find_header(pairs, name)
    assert headers.headers_size(pairs) == headers_twin.headers_size(pairs)


def identifier(data: bytes) -> None:
    """User data is cleaned, judged and hashed as the twin does it."""
    drop, text = (data[0] % 16 if data else 0), data[1:].decode("utf-8", "surrogateescape")
    cleaned = identifiers.clean(text, drop)
    assert cleaned == identifiers_twin.clean(text, drop)
    assert identifiers.digits(text) == identifiers_twin.digits(text)
    assert identifiers.is_email(text) == identifiers_twin.is_email(text)
    for allow_md5 in (False, True):
        assert identifiers.as_digest(text, allow_md5) == identifiers_twin.as_digest(text, allow_md5)
    for value in (data, cleaned):
        assert identifiers.sha256_hex(value) == identifiers_twin.sha256_hex(value)


def body(data: bytes) -> None:
    """A webhook's body, whatever form it says it has, is read or refused with a status."""
    for form in ("json", "lines", "form", "xml"):
        try:
            json.dumps(read_body(data, (form,)))  # type: ignore[arg-type]
        except Unreadable as error:
            assert error.status in (400, 413, 415)
