"""How a request says that it belongs to a preview session, and how that is taken out of it again.

Three ways, since each has senders that cannot use the others (SPEC: requirements R222, R223, R352):

    X-Gtm-Server-Preview: TOKEN     webhooks, curl, other servers; the reference's own name
    ?sgtm_preview=TOKEN             links; a browser that opens one gets
    Cookie: sgtm_preview_session    and is in the session from then on

Nothing behind this file sees a mark, known or not: no client, no tag, no record.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from sgtm._fast.collect import find_parameter
from sgtm._fast.headers import find_header
from sgtm.cookies import read_cookies
from sgtm.messages import IncomingRequest

HEADER = b"x-gtm-server-preview"
PARAMETER = b"sgtm_preview"
COOKIE = b"sgtm_preview_session"
MOST_MARKS = 4
"""Looked at in one request."""

Way = Literal["header", "parameter", "cookie"]


class Mark(Struct, frozen=True):
    """A token, and how it came."""

    token: str
    way: Way


def is_marked(request: IncomingRequest) -> bool:
    """Whether there may be a mark. Asked of every request while there is a session. Of several Cookie
    headers, which no browser sends (RFC 6265, 5.4), the first is looked at."""
    # PERF: compiled code alone; a search for the bytes costs twice as much as one for the parameter
    headers = request.headers
    if find_header(headers, HEADER) is not None or find_parameter(request.query, PARAMETER) is not None:
        return True
    cookies = find_header(headers, b"cookie")
    return cookies is not None and COOKIE in cookies


def marks_of(request: IncomingRequest) -> list[Mark]:
    """The tokens of a request, the one that was meant most expressly first; a few, whatever comes."""
    return list(dict.fromkeys(_marks(request)))[:MOST_MARKS]


def without_marks(request: IncomingRequest) -> IncomingRequest:
    """The request as its sender would have sent it outside of a session."""
    query = request.query
    if PARAMETER in query:
        query = b"&".join(pair for pair in query.split(b"&") if pair.partition(b"=")[0] != PARAMETER)
    return replace(request, query=query, headers=tuple(_headers_without(request.headers)))


def without_token(request: IncomingRequest, token: str) -> IncomingRequest:
    """The request without the token wherever else it stands: a browser that opened the link sends the page's
    address along, as Referer and as what a hit says of its page."""
    secret = token.encode("latin-1")
    if not any(
        secret in part for part in (request.query, request.body, *(value for _, value in request.headers))
    ):
        return request
    headers = tuple((name, value.replace(secret, b"")) for name, value in request.headers)
    query, body = request.query.replace(secret, b""), request.body.replace(secret, b"")
    return replace(request, query=query, headers=headers, body=body)


def _marks(request: IncomingRequest) -> Iterator[Mark]:
    for name, value in request.headers:
        if name == HEADER:
            yield Mark(_text(value), "header")
    for pair in request.query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == PARAMETER:
            yield Mark(_text(value), "parameter")
    for token in read_cookies(request, COOKIE.decode()):
        yield Mark(token, "cookie")


def _headers_without(headers: tuple[tuple[bytes, bytes], ...]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers:
        if name == b"cookie" and COOKIE in value:
            pairs = (pair.strip(b" \t") for pair in value.split(b";"))
            value = b"; ".join(pair for pair in pairs if pair.partition(b"=")[0].rstrip(b" \t") != COOKIE)
            if not value:
                continue
        if name != HEADER:
            yield name, value


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip()
