"""The answer: status, headers, body, cookies, pixels (SPEC: sandbox-api 1.2).

What is said after `returnResponse` is too late and changes nothing. What cannot stand in an answer, or what
no browser would keep, is left out, and the console says so: the template goes on.
"""

import binascii
from base64 import b64decode
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast
from urllib.parse import quote

from msgspec import UNSET

from sgtm._fast.sandbox_apis import SetCookie
from sgtm._fast.sandbox_convert import is_true, to_number, to_text
from sgtm._fast.sandbox_values import LimitError, Run, ScriptError
from sgtm.cookies import CookieError, registrable_domain, set_cookie_header
from sgtm.messages import Cookie
from sgtm.protocols.outgoing_http import TOKEN
from sgtm.templates.apis.declaration import api, declare
from sgtm.templates.apis.guard import MAX_SHOWN, asked_values, demand
from sgtm.templates.arguments import Arguments, argument, refused
from sgtm.templates.host import Host, host_of

MAX_HEADERS, MAX_HEADER = 100, 8_192
MAX_COOKIES, MAX_PIXELS = 50, 20
_GIF = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_SERVERS = frozenset(
    {"connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "te", "trailer", "date"}
)
"""Headers that the server writes itself."""


def _open(run: Run, what: str) -> Host | None:
    """The host, if its answer can still change."""
    host = host_of(run)
    if host.response.is_returned:
        host.say(f"{what} came after returnResponse: it changes nothing")
        return None
    return host


@api("setResponseStatus", "access_response")
def set_response_status(run: Run, args: Arguments) -> Any:
    """Sets the status code, 200 to 599."""
    demand(run, "setResponseStatus", "access_response", "write", "status", shown="the status")
    code = to_number(run, argument(args, 0))
    if not isinstance(code, int) or not 200 <= code <= 599:
        raise refused("setResponseStatus", args)
    host = _open(run, "setResponseStatus")
    if host is not None:
        host.response.status = code
    return UNSET


@api("setResponseHeader", "access_response", cost=2)
def set_response_header(run: Run, args: Arguments) -> Any:
    """Sets a header in place of an earlier one of this name; null and undefined take it away."""
    name = to_text(run, argument(args, 0)).lower()
    demand(run, "setResponseHeader", "access_response", "write", "header", name, shown=f"header {name}")
    value = argument(args, 1)
    _put_header(run, name, None if value is None or value is UNSET else to_text(run, value))
    return UNSET


def _put_header(run: Run, name: str, value: str | None) -> None:
    host = _open(run, f"header {name[:MAX_SHOWN]}")
    if host is None or (problem := _header_problem(name, value or "")):
        if host is not None:
            host.say(f"setResponseHeader {name[:MAX_SHOWN]}: left out, {problem}")
        return
    headers = host.response.headers
    run.charge(len(headers))
    headers[:] = [pair for pair in headers if pair[0] != name]
    if value is None:
        return
    if len(headers) >= MAX_HEADERS:
        raise LimitError("response_headers", f"an answer has {MAX_HEADERS} headers at most")
    headers.append((name, value.strip()))


def _header_problem(name: str, value: str) -> str:
    if TOKEN.fullmatch(name) is None:
        return "its name is no token"
    if name == "set-cookie":
        return "cookies are set with setCookie"
    if name in _SERVERS:
        return "the server writes it"
    if not value.isprintable() or len(value) > MAX_HEADER:
        return "its value has line breaks or is too long"
    return ""


@api("setResponseBody", "access_response")
def set_response_body(run: Run, args: Arguments) -> Any:
    """Sets the body: a text in UTF-8, or what the second argument says it stands for, as `base64`."""
    demand(run, "setResponseBody", "access_response", "write", "body", shown="the body")
    text, encoding = to_text(run, argument(args, 0)), argument(args, 1)
    run.make_text(len(text))
    body = _encoded(text, "utf8" if encoding in (UNSET, None) else to_text(run, encoding).lower())
    host = _open(run, "setResponseBody")
    if host is not None:
        host.response.body = body
    return UNSET


def _encoded(text: str, encoding: str) -> bytes:
    """What a text of this encoding stands for; as in Node, what is none of it ends it."""
    if encoding in _CODECS:
        return text.encode(_CODECS[encoding], "replace")
    if encoding in ("latin1", "binary", "ascii"):
        return bytes(ord(sign) & 0xFF for sign in text)
    try:
        if encoding == "base64":
            plain = text.translate(_PLAIN_SIGNS).rstrip("=")
            return b64decode(plain + "=" * (-len(plain) % 4))
        if encoding == "hex":
            return binascii.unhexlify(text[: len(text) // 2 * 2])
    except ValueError:
        return b""
    raise ScriptError(f"setResponseBody knows no encoding {encoding[:MAX_SHOWN]!r}")


_CODECS = {"utf8": "utf-8", "utf-8": "utf-8", "utf16le": "utf-16-le", "ucs2": "utf-16-le"}
_PLAIN_SIGNS = str.maketrans("-_", "+/")


@api("setPixelResponse", "access_response", cost=10)
def set_pixel_response(run: Run, args: Arguments) -> Any:
    """Answers with a transparent pixel that nobody caches, and status 200."""
    headers = (
        ("content-type", "image/gif"),
        ("cache-control", "no-cache, no-store, must-revalidate, private"),
        ("pragma", "no-cache"),
        ("expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
    )
    for part in (("status",), ("body",), ("header", "content-type"), ("header", "cache-control")):
        demand(run, "setPixelResponse", "access_response", "write", *part, shown=" ".join(part))
    host = _open(run, "setPixelResponse")
    if host is not None:
        host.response.status, host.response.body = 200, _GIF
        for name, value in headers:
            _put_header(run, name, value)
    return UNSET


@api("returnResponse", "return_response")
def return_response(run: Run, args: Arguments) -> Any:
    """Sends the answer as it is now: status 200, no headers and no body unless others were set."""
    demand(run, "returnResponse", "return_response")
    host_of(run).response.is_returned = True
    return UNSET


# -- cookies -------------------------------------------------------------------------------------------


def _set_cookie(run: Run, args: Arguments) -> Any:
    """What `SetCookie` remembers for the next time."""
    name, value = to_text(run, argument(args, 0)), to_text(run, argument(args, 1))
    given = argument(args, 2)
    options = {key.lower(): member for key, member in given.items()} if isinstance(given, dict) else {}
    run.make_elements(len(options))
    demand(run, "setCookie", "set_cookies", name, *asked_values(run, [options]), shown=f"cookie {name}")
    run.make_text(3 * len(value))
    if not is_true(argument(args, 3)):
        value = quote(value, safe="-_.!~*'()", errors="replace")
    host = _open(run, "setCookie")
    if host is None:
        return UNSET
    cookie = _cookie(run, host, name, value, options)
    try:
        set_cookie_header(cookie, host.request.host)
    except CookieError as error:
        host.say(f"setCookie: left out. {error}"[: 2 * MAX_SHOWN])
        return UNSET
    if len(host.response.cookies) >= MAX_COOKIES:
        raise LimitError("response_cookies", f"an answer sets {MAX_COOKIES} cookies at most")
    host.response.cookies.append(cookie)
    return UNSET


declare(
    SetCookie("setCookie", _set_cookie, Cookie, 10),
    "Sets a cookie; its value is encoded unless the fourth argument is true.",
    "set_cookies",
)

_SAME_SITE = {"lax": "Lax", "strict": "Strict", "none": "None"}


def _cookie(run: Run, host: Host, name: str, value: str, options: dict[str, Any]) -> Cookie:
    def text(key: str) -> str:
        member = options.get(key)
        return "" if member is None or member is UNSET else to_text(run, member)

    domain = text("domain")
    if domain.lower() == "auto":
        domain = "auto" if registrable_domain(host.request.host) else text("fallbackdomain")
    same_site = _SAME_SITE.get(text("samesite").lower(), "")
    return Cookie(
        name,
        value,
        _life_s(run, host, options),
        domain,
        text("path") or "/",
        is_secure=_is_on(options.get("secure")),
        is_http_only=_is_on(options.get("httponly")),
        same_site=cast('Literal["Lax", "Strict", "None", ""]', same_site),
    )


def _is_on(value: Any) -> bool:
    return value is not UNSET and value != "false" and is_true(value)


def _life_s(run: Run, host: Host, options: dict[str, Any]) -> int | None:
    """`max-age` wins over `expires`; neither: the browser's session."""
    life = options.get("max-age", UNSET)
    if life not in (UNSET, None, ""):
        seconds = to_number(run, life)
        if seconds == seconds:  # a number
            return int(min(max(seconds, 0), 1e10))
    expires = options.get("expires", UNSET)
    if expires in (UNSET, None, ""):
        return None
    try:
        moment = parsedate_to_datetime(to_text(run, expires)[:100]).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(int(moment) - host.request.received_micros // 1_000_000, 0)


# -- the browser's own requests ------------------------------------------------------------------------


@api("sendPixelFromBrowser", "send_pixel_from_browser", cost=10)
def send_pixel_from_browser(run: Run, args: Arguments) -> bool:
    """Has the browser fetch an address; false where its hit did not say that it can."""
    url = to_text(run, argument(args, 0))
    run.charge(len(url))
    demand(run, "sendPixelFromBrowser", "send_pixel_from_browser", url, shown=url)
    host = host_of(run)
    can = host.event is not None and "x-ga-mp2-richsstsse" in host.event.data
    if not can or host.response.is_returned:
        return False
    if len(host.pixels) >= MAX_PIXELS:
        raise LimitError("pixels", f"the browser is asked for {MAX_PIXELS} pixels at most")
    host.pixels.append(url)
    return True
