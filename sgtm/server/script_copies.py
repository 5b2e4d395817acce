"""From what the upstream gave to a copy that can be served: the host of dependencies, compression, names.

Runs in a thread: half a megabyte takes some 40 ms, once for all visitors.
"""

import gzip
import logging
import re

import brotli

from sgtm.messages import IncomingRequest, ServeScript
from sgtm.protocols.query import read_query
from sgtm.server.script_cache import Copy
from sgtm.server.script_upstream import Fetched

log = logging.getLogger("sgtm.server")

GZIP_LEVEL, BROTLI_QUALITY = 6, 5
"""Measured on gtag.js (526 KB): gzip 6 makes 169 KB in 18 ms, brotli 5 157 KB in 14 ms, brotli 11 140 KB
in 870 ms, which is too much for what any stranger can ask for under a new query."""
MAX_NAMES = 256

_HOST = re.compile(rb'("3"\s*:\s*")www\.googletagmanager\.com(")')
"""Where Google's scripts of 2025 and 2026 keep the host from which they load further scripts."""
_NAME = re.compile(rb"(?<![\w-])(?:AW|DC|G|GT|GTM|HA|MC)-[A-Z0-9]{1,32}(?![\w-])")
_JUDGED = ("id", "gtm_auth", "gtm_preview")
"""Parameters that have been checked, by us or by the upstream, which refuses a wrong one."""
_HARMLESS = re.compile(r"[A-Za-z0-9_.]*")
_REFUSED = re.compile(r"q=0(?:\.0*)?$")


def key_of(script: ServeScript) -> str:
    """The name of the copy: all that decides what it holds."""
    host = f" {script.dependency_host}" if script.dependency_host else ""
    return f"{script.path}?{script.query}{host}"


def make_copy(script: ServeScript, fetched: Fetched, now_s: float) -> Copy:
    """A copy, compressed once for all."""
    body = _with_host(fetched.body, script) if script.dependency_host else fetched.body
    gzipped = gzip.compress(body, GZIP_LEVEL, mtime=0)
    gzipped = gzipped if len(gzipped) < len(body) else b""
    smaller = brotli.compress(body, quality=BROTLI_QUALITY)
    smaller = smaller if len(smaller) < len(gzipped) else b""
    return Copy(
        key_of(script),
        body,
        gzipped,
        fetched.content_type,
        fetched.etag,
        now_s,
        smaller,
        _names(body, script),
    )


def has_free_text(script: ServeScript) -> bool:
    """Whether a stranger could have written an address or an id into the query."""
    values = read_query(script.query.encode()).items()
    return any(name not in _JUDGED and not _HARMLESS.fullmatch(value) for name, value in values)


def _names(body: bytes, script: ServeScript) -> tuple[str, ...]:
    """The ids that Google has written into a script. The upstream repeats parts of the query (`l`), so
    one with free text counts for nothing."""
    if has_free_text(script):
        return ()
    return tuple(sorted({name.decode() for name in _NAME.findall(body)})[:MAX_NAMES])


def encoded(copy: Copy, request: IncomingRequest) -> tuple[str, bytes]:
    """(Content-Encoding or "", body): the smallest form that the browser says it reads."""
    accepted = _accepted(request)
    if copy.brotli and accepted.get("br", False):
        return "br", copy.brotli
    if copy.gzipped and accepted.get("gzip", accepted.get("x-gzip", accepted.get("*", False))):
        return "gzip", copy.gzipped
    return "", copy.body


def _accepted(request: IncomingRequest) -> dict[str, bool]:
    """Coding -> whether the browser takes it. SPEC: RFC 9110, 12.5.3."""
    accepted: dict[str, bool] = {}
    for one in (request.header(b"accept-encoding") or "").lower().split(","):
        name, _, weight = one.partition(";")
        accepted.setdefault(name.strip(), _REFUSED.search(weight.replace(" ", "")) is None)
    return accepted


def _with_host(body: bytes, script: ServeScript) -> bytes:
    """The script, told to load further scripts from our host. SPEC: ga4-protocol 5.2."""
    changed, count = _HOST.subn(rb"\g<1>" + script.dependency_host.encode() + rb"\g<2>", body, count=1)
    if not count:
        log.warning("a script does not say where it loads further scripts from", extra={"path": script.path})
    return changed
