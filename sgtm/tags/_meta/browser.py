"""Meta's first-party cookies: `_fbp`, `_fbc`, `_gtmeec`, `_fbi`. Read them, make new values.

SPEC: meta-capi 8 (fbp, fbc), 5 (event enhancement). Cookies are read and made only where the caller
says that consent allows it.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from sgtm._fast.cookies import first_values
from sgtm._fast.identifiers import as_digest
from sgtm.cookies import read_cookie, registrable_domain
from sgtm.event import Event
from sgtm.messages import Cookie
from sgtm.tags._meta.user_data import browser_address

LIFE_S = 7_776_000
"""90 days."""
_COOKIES = (b"_fbp", b"_fbc", b"_fbi")
_NO_COOKIES = (None, None, None)
ENHANCEMENT_COOKIE = "_gtmeec"
ENHANCED = ("em", "ph", "ln", "fn", "ct", "st", "zp", "ge", "db", "country", "external_id")

_PART = r"[!#-+/-:<-\[\]-~-]+"
"""What may stand in a cookie and is no dot; a click id keeps every character (a dot would end it)."""
_ID = re.compile(rf"fb\.[0-9]+\.[0-9]+\.{_PART}(\.{_PART})?")
"""The fifth segment is the appendix of Meta's own libraries: kept byte for byte, never made."""
_CLICK_ID = re.compile(_PART)
MAX_ID_LENGTH = 2_000


def browser(
    event: Event, said: Mapping[str, Any], *, may_store: bool, extends_cookies: bool, generates_fbp: bool
) -> tuple[dict[str, str], list[Cookie]]:
    """Keys of user_data that the browser brings (address, user agent, fbc, fbp), and cookies to set.

    Without `may_store` no cookie is read, made or set: what stands in the event and its URL (`said`)
    remains."""
    in_cookies = first_values(event.request.headers, _COOKIES) if may_store else _NO_COOKIES
    fbc = click_id(event, said, browser_id(said, "fbc", in_cookies[1], may_store=may_store))
    fbp = browser_id(said, "fbp", in_cookies[0], may_store=may_store)
    if fbp is None and generates_fbp and may_store:
        fbp = new_browser_id(event)
    found = {}
    if address := browser_address(_own_address(in_cookies[2]), said.get("ip_override")):
        found["client_ip_address"] = address
    if "user_agent" in said:
        found["client_user_agent"] = said["user_agent"]
    if fbc:
        found["fbc"] = fbc
    if fbp:
        found["fbp"] = fbp
    cookies = []
    if extends_cookies and may_store:
        # the pixel must be able to read them, so they are not HttpOnly
        cookies = [Cookie(name, value, LIFE_S) for name, value in (("_fbp", fbp), ("_fbc", fbc)) if value]
    return found, cookies


def browser_id(said: Mapping[str, Any], name: str, in_cookie: str | None, *, may_store: bool) -> str | None:
    """The valid `fbp` or `fbc` that the event brings: override, cookie, Data Client, event data."""
    common = said.get("common_cookie") if may_store else None
    in_common = common.get(f"_{name}") if isinstance(common, dict) else None
    for text in (said.get(f"x-fb-ck-{name}"), in_cookie, in_common, said.get(name)):
        if isinstance(text, str) and len(text) <= MAX_ID_LENGTH and _ID.fullmatch(text):
            return text
    return None


def click_id(event: Event, said: Mapping[str, Any], known: str | None) -> str | None:
    """fbc: the one that is known, unless the page came from another click.

    The creation time is when the click was first seen, so what is known stays while its click id is
    the same (segment 4, whatever follows)."""
    page, referrer = said.get("page_location", ""), said.get("page_referrer", "")
    fbclid = None
    if "fbclid=" in page or "fbclid=" in referrer:
        fbclid = _fbclid(page) or _fbclid(referrer)
    if not fbclid or (known is not None and known.split(".")[3] == fbclid):
        return known
    return f"{_prefix(event)}.{fbclid}"


def new_browser_id(event: Event) -> str:
    """A new fbp, the same for all events and tags of one request. Ten digits, as the pixel's."""
    drawn = int.from_bytes(event.request.chance("_fbp", 8), "big")
    return f"{_prefix(event)}.{1_000_000_000 + drawn % 1_147_483_648}"


def _own_address(in_cookie: str | None) -> str:
    """What `_fbi` says of the browser's address, the cookie of Meta's parameter builder: `ip.appendix`."""
    if not in_cookie:
        return ""
    address, dot, appendix = in_cookie.rpartition(".")
    return address if dot and not appendix.isdecimal() else in_cookie


# -- event enhancement -------------------------------------------------------------------------


def read_enhancement(event: Event) -> dict[str, Any]:
    """Digests that an earlier hit of this browser left in `_gtmeec`; what is malformed is ignored."""
    try:
        kept = msgspec.json.decode(
            base64.b64decode(unquote(read_cookie(event.request, ENHANCEMENT_COOKIE) or ""))
        )
    except (ValueError, msgspec.DecodeError, RecursionError):
        return {}
    if not isinstance(kept, dict):
        return {}
    found: dict[str, Any] = {
        key: digest
        for key in ENHANCED
        if isinstance(kept.get(key), str) and (digest := as_digest(kept[key], False))
    }
    login = str(kept.get("fb_login_id", ""))
    return found | ({"fb_login_id": int(login)} if re.fullmatch("[0-9]{1,19}", login) else {})


def enhancement_cookie(kept: Mapping[str, Any], user_data: Mapping[str, Any]) -> Cookie | None:
    """`_gtmeec` for the next hits: what was kept, and the first digest of each key that this event
    brings. None where it brings none: then the cookie stays as it is."""
    brought: dict[str, Any] = {}
    for key in ENHANCED:
        value = user_data.get(key)
        first = value[0] if isinstance(value, list) else value
        if first and as_digest(first, False):
            brought[key] = first
    if "fb_login_id" in user_data:
        brought["fb_login_id"] = user_data["fb_login_id"]
    if not brought:
        return None
    value = base64.b64encode(msgspec.json.encode({**kept, **brought})).decode()
    return Cookie(ENHANCEMENT_COOKIE, value, LIFE_S, is_http_only=True, same_site="Strict")


# -- the parts of an id ------------------------------------------------------------------------


def _prefix(event: Event) -> str:
    """`fb`, how deep the cookie's domain lies (labels minus one; an address: 0), and now."""
    domain = registrable_domain(event.request.host) or ""
    return f"fb.{domain.count('.')}.{event.request.received_micros // 1000}"


def _fbclid(url: str) -> str | None:
    """Parameter `fbclid`, decoded once and otherwise as it is: case matters."""
    if "fbclid=" not in url:
        return None
    try:
        query = urlsplit(url).query
    except ValueError:
        return None
    for pair in query.split("&"):
        if pair.startswith("fbclid="):
            value = unquote(pair[7:])
            return value if len(value) <= MAX_ID_LENGTH // 2 and _CLICK_ID.fullmatch(value) else None
    return None
