"""Scripts of Google's served from our own domain: which request is for which script of the upstream.

SPEC: requirements E18, R202, R254, R293; ga4-protocol 5.2; google-runtime 7.3.
"""

import re
from collections.abc import Collection, Iterable
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from msgspec import Meta, Struct
from msgspec.structs import replace

from sgtm.errors import Problem
from sgtm.messages import Answer, Claimed, Dependency, IncomingRequest, Refused, ServeScript
from sgtm.protocols.query import read_query

METHODS = ("GET", "HEAD")
GTM_MAX_AGE_S, GTM_STALE_S = 900, 60
GTAG_MAX_AGE_S = 3600
SERVICE_WORKER_MAX_AGE_S = 604_800
MAX_QUERY_BYTES = 1024
"""Longest query that is passed on; a loader writes about a hundred bytes."""

DEPENDENCY_FILES = ("/gtag/js", "/gtag/destination", "/gtm.js")
"""What Google's scripts load further, below the host that they are told."""

_PREVIEW = ("gtm_preview", "gtm_auth", "gtm_debug")
"""Parameters of preview links and of the snippets of environments."""
_SERVICE_WORKER = re.compile(r"/_/service_worker(/[0-9a-z]{1,12}/(?:sw_iframe\.html|sw\.js))")
_ID = re.compile(r"[A-Z]{1,4}-[A-Z0-9]{1,32}")

DependencyHosts = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[a-z0-9.-]+(:[0-9]{1,5})?$")], ...],
    Meta(
        description="Hosts of this server as browsers know them. A script asked for at one of them loads "
        "Google's further scripts (`/gtag/js`, `/gtag/destination`) from there too, over https, and what "
        "a served script names is served. Empty: they come from Google.",
        examples=[["sst.shop.example"]],
    ),
]
Compress = Annotated[bool, Meta(description="Compress scripts for browsers that read brotli or gzip.")]


class Serving(Struct, frozen=True):
    """How a client serves its scripts."""

    listed: tuple[ServeScript, ...]
    """The scripts whose ids the operator has listed: what they name may be served as well."""
    compress: bool = True
    dependency_hosts: tuple[str, ...] = ()


def gtm_file(path: str, query: str) -> ServeScript:
    """A file of a web container. SPEC: R254 (900 seconds, and 60 more while a new one is fetched)."""
    kind: Literal["page", "script"] = "page" if path == "/ns.html" else "script"
    return ServeScript(path, query, kind, GTM_MAX_AGE_S, GTM_STALE_S)


def gtag_file(path: str, query: str) -> ServeScript:
    """A file of gtag's. SPEC: R254 (3600 seconds)."""
    return ServeScript(path, query, "script", GTAG_MAX_AGE_S)


def refuse(
    request: IncomingRequest, ids: Collection[str], own_id: str = "", dependency_hosts: Collection[str] = ()
) -> Refused | None:
    """400 for an id that is none of `ids` and can be no dependency. SPEC: R293; reliability 5.1."""
    if request.method not in METHODS or _query_of(request, own_id).get("id") in ids:
        return None
    if _dependency_host(request, dependency_hosts):
        return None
    return Refused(Answer(400), "script id not listed")


def serve(
    request: IncomingRequest, upstream_path: str, ids: Collection[str], serving: Serving, own_id: str = ""
) -> Claimed:
    """Serve the upstream's file for an id of `ids`, or for one that a listed script names, where the
    client serves dependencies; `own_id` is the id of a request that names none.

    Any other id is answered 400, and nobody asks the upstream for it (R293). The whole query is passed on
    (E18), but rewritten: each name once, first value, so that the upstream cannot read another id than was
    checked, and sorted, so that one script is one copy.
    """
    values = _query_of(request, own_id)
    id_, host = values.get("id", ""), _dependency_host(request, serving.dependency_hosts)
    dependency = None
    if id_ not in ids:
        dependency = _dependency(id_, host, serving)
        if dependency is None:
            return Claimed([], Answer(400), warnings=("the id is none of those that this client serves",))
    query = urlencode(sorted(values.items()), quote_via=quote)
    if len(query) > MAX_QUERY_BYTES:
        return Claimed([], Answer(400), warnings=(f"the query is longer than {MAX_QUERY_BYTES} bytes",))
    make = gtag_file if upstream_path.startswith("/gtag/") else gtm_file
    return Claimed(
        [],
        replace(
            make(upstream_path, query),
            is_preview=any(name in values for name in _PREVIEW),
            compress=serving.compress,
            dependency_host=host,
            dependency=dependency,
        ),
    )


def service_worker(request: IncomingRequest, prefixes: Iterable[str], upstream_path: str) -> Claimed | None:
    """The frame of gtag's service worker, or its script; None where another path is asked for.

    404 without an upstream path: gtag then sends its hits itself, at no loss. SPEC: google-runtime 7.3.
    """
    for prefix in prefixes:
        if request.method in METHODS and request.path.startswith(f"{prefix}/_/service_worker/"):
            found = _SERVICE_WORKER.fullmatch(request.path, len(prefix))
            if found is None or not upstream_path:
                return Claimed([], Answer(404))
            query = urlencode(sorted(read_query(request.query).items()), quote_via=quote)
            if len(query) > MAX_QUERY_BYTES:
                return Claimed(
                    [], Answer(400), warnings=(f"the query is longer than {MAX_QUERY_BYTES} bytes",)
                )
            kind: Literal["page", "script"] = "page" if found[1].endswith(".html") else "script"
            script = ServeScript(upstream_path + found[1], query, kind, SERVICE_WORKER_MAX_AGE_S)
            return Claimed([], script)
    return None


def check_serving(parameters: dict[str, Any], where: str, has_scripts: bool) -> list[Problem]:
    """What `sgtm check` says about settings of scripts that change nothing."""
    if not parameters.get("dependency_hosts") or has_scripts:
        return []
    what = "this client serves no scripts, so nothing is loaded from there"
    return [Problem("warning", what, f"{where}.dependency_hosts", "list the ids, or remove it")]


def _query_of(request: IncomingRequest, own_id: str) -> dict[str, str]:
    values = read_query(request.query)
    if own_id:
        values.setdefault("id", own_id)
    return values


def _dependency_host(request: IncomingRequest, dependency_hosts: Iterable[str]) -> str:
    """The entry that the browser has addressed, with our path prefix: where it finds our scripts; or ""."""
    entry = next((one for one in dependency_hosts if one.partition(":")[0] == request.host), "")
    return entry and entry + request.path_prefix


def _dependency(id_: str, host: str, serving: Serving) -> Dependency | None:
    """An id that nobody has listed, as a dependency of the scripts that are; None: it cannot be one."""
    if not host or not _ID.fullmatch(id_) or any(one.query == f"id={id_}" for one in serving.listed):
        return None
    parents = (replace(one, dependency_host=host, compress=serving.compress) for one in serving.listed)
    return Dependency(id_, tuple(parents))
