"""Who the visitor is: FPID, `_ga`, the id of the hit, or a new id, and the cookies that keep it.

SPEC: requirements R57-R62, R298, R299; ga4-protocol 2.4 and 5.4 (formats and modes).

    FPID = FPID2.<labels of the cookie's domain>.<client id, percent-encoded>
    client id = base64 of 32 bytes [. second half of the script's id]       (server-managed)
              = the script's id                                             (migrated from `_ga`)
"""

import hmac
import re
from base64 import b64encode
from urllib.parse import quote, unquote

from msgspec import Struct

from sgtm.clients._linker import seal, unseal
from sgtm.cookies import read_cookie, read_cookies, registrable_domain
from sgtm.messages import IncomingRequest

FPLC = "FPLC"
FPLC_LIFE_S = 72_000
"""20 hours (R60); a linker value is accepted for as long as its cookie lives."""
MAX_ID_CHARACTERS = 200

_FPID = re.compile(r"FPID[12]\.[0-9]{1,2}\.([A-Za-z0-9%._~+/=-]{1,600})")
_GA = re.compile(r"GA1\.[0-9]{1,2}(?:-[0-9]{1,2})?\.([A-Za-z0-9%._~+/=-]{1,200})")
_SCRIPT_ID = re.compile(r"[^.]+\.([0-9]{1,13})")


class Visitor(Struct, frozen=True):
    """The id of the visitor, the cookie value that keeps it, and whether the cookie was made now."""

    client_id: str
    cookie_value: str
    is_new: bool


def known_visitor(request: IncomingRequest, cookie_name: str) -> Visitor | None:
    """The visitor of the FPID cookie: it wins over whatever `_ga` and the hit say (R299)."""
    for value in read_cookies(request, cookie_name):
        match = _FPID.fullmatch(value)
        client_id = _usable(unquote(match[1])) if match else None
        if client_id:
            return Visitor(client_id, value, is_new=False)
    return None


def new_visitor(request: IncomingRequest, client_id: str, domain: str) -> Visitor:
    """A visitor whom FPID keeps from now on; `domain` is the cookie's, "auto" or "" as in `Cookie`."""
    value = f"FPID2.{_label_count(request.host, domain)}.{quote(client_id, safe='')}"
    return Visitor(client_id, value, is_new=True)


def new_client_id(request: IncomingRequest, script_id: str | None, key: str = "") -> str:
    """A server-managed id: 32 bytes, and the time that the script's id carries, if it does.

    Hits that leave the browser together, before the first one's cookie has come back, are one visitor: with
    a key the bytes follow from the script's id, which no script can do after us. Else they are of chance.
    """
    is_derived = bool(key and script_id)
    secret = hmac.digest(key.encode(), f"sgtm FPID 1 {script_id}".encode(), "sha256") if is_derived else b""
    made = b64encode(secret or request.chance("fpid", 32)).decode()
    match = _SCRIPT_ID.fullmatch(script_id) if script_id else None
    return f"{made}.{match[1]}" if match else made


def new_script_id(request: IncomingRequest) -> str:
    """An id of the form that the script makes, for a hit that brings none: `<random>.<seconds>`."""
    number = int.from_bytes(request.chance("client id", 4), "big") & 0x7FFF_FFFF
    return f"{number}.{request.received_micros // 1_000_000}"


def script_id(request: IncomingRequest, hit_id: object) -> str | None:
    """The id that the script in the page uses: from its cookie `_ga`, else from the hit (R57)."""
    for value in read_cookies(request, "_ga"):
        match = _GA.fullmatch(value)
        if match:
            return match[1]
    return _usable(hit_id) if isinstance(hit_id, str) else None


def linked_id(request: IncomingRequest, value: object, key: str) -> str | None:
    """The id that a visitor brought from another domain of ours as `_fplc`; "0" says none."""
    if not key or not isinstance(value, str) or value == "0":
        return None
    client_id = unseal(value, request.received_micros // 1_000_000, key, FPLC_LIFE_S)
    return _usable(client_id) if client_id else None


def linker_value(request: IncomingRequest, visitor: Visitor, key: str) -> str | None:
    """A value for the FPLC cookie; None where the browser has one for this visitor already.

    It is not made again with each hit (ga4-protocol 5.4)."""
    if not visitor.is_new and read_cookie(request, FPLC) is not None:
        return None
    return seal(visitor.client_id, request.received_micros // 1_000_000, key)


def _usable(client_id: str) -> str | None:
    """An id that may be kept: a short, printable text."""
    is_usable = (
        0 < len(client_id) <= MAX_ID_CHARACTERS and client_id.isprintable() and "\ufffd" not in client_id
    )
    return client_id if is_usable else None


def _label_count(host: str, domain: str) -> int:
    """Labels of the domain that the cookie is set on: 2 for example.com, 3 for example.co.uk."""
    covered = registrable_domain(host) if domain == "auto" else domain.removeprefix(".")
    covered = covered or host
    return 1 if ":" in covered or covered.replace(".", "").isdecimal() else covered.count(".") + 1
