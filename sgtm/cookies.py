"""Cookies: read them, write them through one safe function, know the registrable domain of a host.

SPEC: RFC 6265 (server part), requirements R200, R205, R251, R280, ga4-protocol 5.4.
"""

import re
from functools import lru_cache

from msgspec.structs import replace
from publicsuffixlist import PublicSuffixList

from sgtm._fast.cookies import MAX_VALUES, find_cookie, find_cookies
from sgtm.errors import SgtmError
from sgtm.messages import Cookie, IncomingRequest

MAX_AGE_CAP_S = 34_560_000
"""400 days: browsers cut longer lives (R251)."""
MAX_COOKIE_BYTES = 4096
"""Name and value together; browsers drop larger cookies without a word."""

_PUBLIC_SUFFIXES = PublicSuffixList()
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"(?:[!-:<-~](?:[ -:<-~]*[!-:<-~])?)?")
_PATH = re.compile(r"/[!-:<-~]{0,1023}")


class CookieError(SgtmError, ValueError):
    """A cookie that must not be sent. The text never holds the cookie's value."""


# -- reading -----------------------------------------------------------------------------------


def read_cookie(request: IncomingRequest, name: str) -> str | None:
    """First value of cookie `name` over all `Cookie` headers, not decoded; None where there is none.

    Invalid UTF-8 becomes U+FFFD. Never raises."""
    key = name.encode("utf-8", "replace")
    for header, text in request.headers:
        if header == b"cookie":
            value = find_cookie(text, key)
            if value is not None:
                return value.decode("utf-8", "replace")
    return None


def read_cookies(request: IncomingRequest, name: str) -> list[str]:
    """All values of cookie `name` in the order of the request, at most 50. Never raises."""
    key = name.encode("utf-8", "replace")
    values: list[str] = []
    for header, text in request.headers:
        if header == b"cookie" and len(values) < MAX_VALUES:
            values += [value.decode("utf-8", "replace") for value in find_cookies(text, key)]
    return values[:MAX_VALUES]


def cookie_names(request: IncomingRequest) -> list[str]:
    """Names of all cookies of the request, each once, in their order. Never raises."""
    names: dict[str, None] = {}
    for header, text in request.headers:
        if header == b"cookie":
            pairs = (pair.partition(b"=") for pair in text.split(b";"))
            names |= {
                name.strip(b" \t").decode("utf-8", "replace"): None for name, equals, _ in pairs if equals
            }
    return [name for name in names if name]


# -- the domain --------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def registrable_domain(host: str) -> str | None:
    """Public suffix plus one label: `example.co.uk` for `shop.example.co.uk`.

    None for addresses, single labels (`localhost`), public suffixes (`co.uk`, `github.io`) and what
    is no host name. SPEC: R205; the list is Mozilla's, private section included, as in browsers.
    """
    host = host.lower()
    if not _HOST.fullmatch(host) or host.rpartition(".")[2].isdecimal():
        return None
    domain: str | None = _PUBLIC_SUFFIXES.privatesuffix(host)
    return domain


# -- writing -----------------------------------------------------------------------------------


def set_cookie_header(cookie: Cookie, host: str) -> str:
    """The value of one `Set-Cookie` header: the only way a cookie leaves the house (R200, R205, R280).

    `host` is the host that the browser addressed, lower case, without port. The value is taken as it
    is: whoever makes the cookie percent-encodes it. Max-Age is cut to 400 days (a session's cookie has
    none), `SameSite=None` brings `Secure`, domain "auto" becomes the registrable domain of the host
    (none, so host-only, where the host has no such domain), "" means host-only. Raises CookieError.
    """
    attributes = _attributes(replace(cookie, value=""), host)
    where = f"cookie {cookie.name!r}"
    if not _VALUE.fullmatch(cookie.value):
        raise CookieError("its value has a forbidden character", where=where, mend="percent-encode the value")
    if len(cookie.name) + len(cookie.value) > MAX_COOKIE_BYTES:
        raise CookieError("is larger than 4,096 bytes", where=where, mend="keep less in it: browsers drop it")
    return f"{cookie.name}={cookie.value}{attributes}"


@lru_cache(maxsize=1024)
def _attributes(cookie: Cookie, host: str) -> str:
    """What follows the value: `; Max-Age=...`. Raises CookieError.

    PERF: a container sets few different cookies, and nothing here depends on their values."""
    if not _NAME.fullmatch(cookie.name):
        raise CookieError("its name is no HTTP token", where="cookie", mend="use letters, digits, - and _")
    where = f"cookie {cookie.name!r}"
    if not _PATH.fullmatch(cookie.path):
        raise CookieError(
            "its path cannot be used", where=where, mend="begin it with / and leave out ; and blanks"
        )
    if cookie.same_site not in ("Lax", "Strict", "None", ""):
        raise CookieError("its SameSite is unknown", where=where, mend='use "Lax", "Strict", "None" or ""')
    is_secure = cookie.is_secure or cookie.same_site == "None"
    domain = _domain_attribute(cookie, host, where)
    _check_prefix(cookie, domain, is_secure, where)
    life_s = cookie.max_age_s
    return (
        f"{'' if life_s is None else f'; Max-Age={min(max(life_s, 0), MAX_AGE_CAP_S)}'}"
        f"{f'; Domain={domain}' if domain else ''}; Path={cookie.path}{'; Secure' if is_secure else ''}"
        f"{'; HttpOnly' if cookie.is_http_only else ''}"
        f"{f'; SameSite={cookie.same_site}' if cookie.same_site else ''}"
    )


def _domain_attribute(cookie: Cookie, host: str, where: str) -> str:
    """The Domain attribute, "" for a host-only cookie."""
    if cookie.domain == "auto":
        return "" if cookie.name.startswith("__Host-") else registrable_domain(host) or ""
    domain = cookie.domain.lower().removeprefix(".")
    if not domain:
        return ""
    if registrable_domain(domain) is None:
        raise CookieError(
            "its domain is no registrable domain (a public suffix, an address or not a name)",
            where=where,
            mend='use "auto", or a domain of your own',
        )
    if host != domain and not host.endswith(f".{domain}"):
        raise CookieError("its domain does not cover the host", where=where, mend='use "auto"')
    return domain


def _check_prefix(cookie: Cookie, domain: str, is_secure: bool, where: str) -> None:
    """Browsers drop cookies that break the promise of their name (RFC 6265bis 4.1.3)."""
    is_host_bound = cookie.name.startswith("__Host-")
    if (is_host_bound or cookie.name.startswith("__Secure-")) and not is_secure:
        raise CookieError("its name promises Secure", where=where, mend="make it secure or rename it")
    if is_host_bound and (domain or cookie.path != "/"):
        raise CookieError(
            "its name promises no domain and the path /", where=where, mend="leave both out or rename it"
        )
