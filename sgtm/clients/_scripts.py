"""Scripts of Google's served from our own domain: which request is for which script of the upstream.

SPEC: requirements E18, R202, R254, R293; ga4-protocol 5.2.
"""

from collections.abc import Collection
from typing import Literal
from urllib.parse import quote, urlencode

from sgtm.messages import Answer, Claimed, IncomingRequest, Refused, ServeScript
from sgtm.protocols.query import read_query

METHODS = ("GET", "HEAD")
GTM_MAX_AGE_S, GTM_STALE_S = 900, 60
GTAG_MAX_AGE_S = 3600
MAX_QUERY_BYTES = 1024
"""Longest query that is passed on; a loader writes about a hundred bytes."""

_PREVIEW = ("gtm_preview", "gtm_auth", "gtm_debug")
"""Parameters of preview links and of the snippets of environments."""


def gtm_file(path: str, query: str, is_preview: bool) -> ServeScript:
    """A file of a web container. SPEC: R254 (900 seconds, and 60 more while a new one is fetched)."""
    kind: Literal["page", "script"] = "page" if path == "/ns.html" else "script"
    return ServeScript(path, query, kind, GTM_MAX_AGE_S, GTM_STALE_S, is_preview)


def gtag_file(path: str, query: str, is_preview: bool) -> ServeScript:
    """A file of gtag's. SPEC: R254 (3600 seconds)."""
    return ServeScript(path, query, "script", GTAG_MAX_AGE_S, is_preview=is_preview)


def refuse(request: IncomingRequest, ids: Collection[str], own_id: str = "") -> Refused | None:
    """400 for an id that is none of `ids` (R293; SPEC: reliability 5.1); None for what is served."""
    if request.method in METHODS and _query_of(request, own_id).get("id") not in ids:
        return Refused(Answer(400), "script id not listed")
    return None


def serve(request: IncomingRequest, upstream_path: str, ids: Collection[str], own_id: str = "") -> Claimed:
    """Serve the upstream's file for an id of `ids`; `own_id` is the id of a request that names none.

    Any other id is answered 400, and nobody asks the upstream (R293). The whole query is passed on (E18),
    but rewritten: each name once, first value, so that the upstream cannot read another id than was
    checked, and sorted, so that one script is one copy.
    """
    values = _query_of(request, own_id)
    if values.get("id") not in ids:
        return Claimed([], Answer(400), warnings=("the id is none of those that this client serves",))
    query = urlencode(sorted(values.items()), quote_via=quote)
    if len(query) > MAX_QUERY_BYTES:
        return Claimed([], Answer(400), warnings=(f"the query is longer than {MAX_QUERY_BYTES} bytes",))
    make = gtag_file if upstream_path.startswith("/gtag/") else gtm_file
    return Claimed([], make(upstream_path, query, any(name in values for name in _PREVIEW)))


def _query_of(request: IncomingRequest, own_id: str) -> dict[str, str]:
    values = read_query(request.query)
    if own_id:
        values.setdefault("id", own_id)
    return values
