"""What may be written to a vendor's socket: one function, every request passes it, or its compiled form for
what is plain (`_fast/vendor_http.pyx`), which writes the same bytes or leaves it to this one.

SPEC: reliability 3, rule 7: tokens, no control characters, framing headers are ours alone, the
target is percent-encoded and never decoded again. The credential enters here and nowhere else.
"""

import hmac
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from urllib.parse import quote

from sgtm.delivery.credentials import Credentials
from sgtm.delivery.errors import CredentialMissing, Refused
from sgtm.messages import CredentialProof, CredentialUse, OutgoingRequest
from sgtm.protocols.outgoing_http import TOKEN, may_be_set, read_origin

Written = tuple[str, str, list[tuple[str, str]]]

DEFAULT_PORTS = {"http": 80, "https": 443}
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that say no length where there is no body (RFC 9110, 8.6)."""
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_VISIBLE_ONLY = re.compile(r"[!-~]*")


def origin_of(url: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an absolute http or https URL, in lower case. Raises Refused.

    No user info, no fragment, host names in ASCII (an international name as punycode)."""
    try:
        return read_origin(url)
    except ValueError as error:
        what = str(error)
    # Raised out here, as all of this folder's errors: nothing is behind them that may know the URL.
    raise Refused(what, where="url", mend="write https://host/path, a port from 1 to 65535")


def write_request(request: OutgoingRequest, credentials: Credentials, token: str | None = None) -> Written:
    """(method, target URL, headers) as they go to the socket, the credential in its place.

    `token` is the access token, where the credential is made and not a secret itself.
    Raises Refused or CredentialMissing."""
    method, url, headers = write_parts(request.method, request.url, request.headers)
    if request.credential is not None:
        url = put_credential(request.credential, credentials, url, headers, token)
    return method, url, headers


def put_credential(
    use: CredentialUse,
    credentials: Credentials,
    url: str,
    headers: list[tuple[str, str]],
    token: str | None = None,
) -> str:
    """Put a credential in its place: among the headers, or into the URL that is returned.

    Raises Refused or CredentialMissing."""
    credential = credentials.value(use.name) if token is None else token
    url = _put(use, use.prefix, credential, url, headers)
    proof = use.proof
    if proof is not None:
        secret = credentials.value(proof.name)
        proved = hmac.digest(secret.encode(), credential.encode(), "sha256").hex()
        url = _put(proof, "", proved, url, headers)
    return url


def write_parts(method: str, url: str, headers: Sequence[tuple[str, str]]) -> Written:
    """The parts of a request without a credential, checked and encoded. Raises Refused."""
    origin_of(url)
    if TOKEN.fullmatch(method) is None:
        raise Refused("the method is not a token", where="method", mend="write GET, POST, ...")
    if _VISIBLE_ONLY.fullmatch(url) is None:
        url = quote(url, safe=_VISIBLE)
    return method, url, [_checked_header(name, value) for name, value in headers]


def request_bytes(written: Written, origin: tuple[str, str, int], body: bytes, *, to_proxy: bool) -> bytes:
    """All of a request, for one write. A proxy is told the whole URL. Raises Refused."""
    method, url, headers = written
    authority = authority_of(origin)
    target = target_of(url)
    if to_proxy:
        target = f"{origin[0]}://{authority}{target}"
    lines = [f"{method} {target} HTTP/1.1\r\nHost: {authority}\r\n"]
    accepts = False
    for name, value in headers:
        lines.append(f"{name}: {value}\r\n")
        accepts = accepts or name.lower() == "accept"
    if not accepts:
        lines.append("Accept: */*\r\n")
    lines.append(f"Content-Length: {len(body)}\r\n\r\n" if body or method not in _WITHOUT_BODY else "\r\n")
    with suppress(UnicodeEncodeError):
        return "".join(lines).encode() + body
    raise Refused("a header holds what is no text", where="headers", mend="write text")


def authority_of(origin: tuple[str, str, int]) -> str:
    """What the Host header says."""
    scheme, host, port = origin
    host = host.rstrip(".")
    return host if port == DEFAULT_PORTS[scheme] else f"{host}:{port}"


def target_of(url: str) -> str:
    """What follows the authority of an absolute URL, from its / on."""
    start = url.find("://") + 3
    path, query = url.find("/", start), url.find("?", start)
    if path >= 0 and (query < 0 or path < query):
        return url[path:]
    return "/" if query < 0 else f"/{url[query:]}"


def _put(
    use: CredentialUse | CredentialProof, prefix: str, value: str, url: str, headers: list[tuple[str, str]]
) -> str:
    """Put `value` into its header, or into the URL that is returned."""
    if use.place == "query":
        return f"{url}{'&' if '?' in url else '?'}{quote(use.key, safe='')}={quote(value, safe='')}"
    headers.append(_secret_header(use, prefix, value))
    return url


def _checked_header(name: str, value: str) -> tuple[str, str]:
    lower = _checked_name(name)
    # Printable text, nearly all there is, needs no second look.
    if not value.isprintable() and _CONTROL.search(value) is not None:
        raise Refused(f"{lower!r} holds a control character", where="headers", mend="take line breaks out")
    return name, value


@lru_cache(1_024)
def _checked_name(name: str) -> str:
    if TOKEN.fullmatch(name) is None:
        raise Refused("a header name is not a token", where="headers", mend="use letters, digits and -")
    lower = name.lower()
    if not may_be_set(name):
        raise Refused(f"{lower!r} is written by the sender", where="headers", mend="leave it out")
    return lower


def _secret_header(use: CredentialUse | CredentialProof, prefix: str, secret: str) -> tuple[str, str]:
    name, value = _checked_header(use.key, prefix)
    if _CONTROL.search(secret) is not None:
        raise CredentialMissing(
            "holds a control character", where=f"credential {use.name!r}", mend="write the bare token"
        )
    return name, value + secret
