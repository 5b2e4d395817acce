"""Web container: serves Google Tag Manager's `gtm.js` (and `ns.html`) from your own domain.

The server fetches the script from Google, keeps it for 15 minutes, and serves its old copy when Google
cannot be reached. Nothing of the visitor goes there: no address, no cookie, no header. Containers that are
not listed are answered 400 and never asked for. The query is passed on, so environments and preview work
(`gtm_auth`, `gtm_preview`, `gtm_cookies_win`); such requests are fetched each time and not kept.

    curl -i 'https://sst.example/gtm.js?id=GTM-ABC123'

Blockers know the name `gtm.js` and ids that begin with `GTM-`. Rename the file with `script_path`, or give
a container a path of its own: there the id may be left out. With `dependency_hosts` the scripts that
`gtm.js` loads further come from your domain too, without a list of their ids.

SPEC: requirements E18, R35, R73, R202, R254, R292, R293; ga4-protocol 5.1, 5.2.
"""

from collections.abc import Collection
from typing import Annotated, Any

from msgspec import Meta, Struct

from sgtm.clients import _scripts
from sgtm.component import client
from sgtm.errors import Problem
from sgtm.messages import Claimed, Declined, IncomingRequest, Refused

_Path = Annotated[str, Meta(pattern=r"^/[^?#\s]*$")]
_Id = Annotated[str, Meta(pattern="^GTM-[A-Z0-9]+$")]


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which containers are served, and where."""

    allowed_container_ids: Annotated[
        tuple[_Id, ...],
        Meta(
            min_length=1,
            description="Web containers that are served; another id is answered 400.",
            examples=[["GTM-ABC123"]],
        ),
    ]
    script_path: Annotated[_Path, Meta(description="Where `gtm.js` is served.")] = "/gtm.js"
    frame_path: Annotated[
        _Path, Meta(description="Where `ns.html`, the frame for browsers without scripts, is served.")
    ] = "/ns.html"
    container_paths: Annotated[
        dict[_Id, _Path],
        Meta(
            description="A path of its own for the script of a container; the request need not name the id.",
            examples=[{"GTM-ABC123": "/shop.js"}],
        ),
    ] = {}
    is_path_mandatory: Annotated[
        bool, Meta(description="Serve a container with a path of its own there only, not at `script_path`.")
    ] = False
    dependency_hosts: _scripts.DependencyHosts = ()
    compress: _scripts.Compress = True


def paths(parameters: Parameters) -> tuple[str, ...]:
    """Every path that the client claims."""
    own = (parameters.script_path, parameters.frame_path, *parameters.container_paths.values())
    return tuple(dict.fromkeys((*own, *_dependency_files(parameters))))


def _dependency_files(parameters: Parameters) -> tuple[str, ...]:
    return _scripts.DEPENDENCY_FILES if parameters.dependency_hosts else ()


def check(parameters: dict[str, Any], where: str) -> list[Problem]:
    """What the struct alone cannot find: paths of containers that are not served, paths used twice."""
    problems = []
    own_paths = parameters.get("container_paths") or {}
    for id_ in own_paths:
        if id_ not in parameters.get("allowed_container_ids", ()):
            what = f"{id_} has a path and is not one of allowed_container_ids: it is answered 400"
            problems.append(Problem("error", what, f"{where}.container_paths.{id_}", "list it there too"))
    used = [parameters.get("script_path", "/gtm.js"), parameters.get("frame_path", "/ns.html")]
    used += own_paths.values()
    problems += [
        Problem("error", f"{path!r} is used twice", where, "give each its own path")
        for path in sorted({path for path in used if used.count(path) > 1})
    ]
    if parameters.get("is_path_mandatory") and not own_paths:
        what = "no container has a path of its own, so this changes nothing"
        mend = "write `container_paths`, or remove it"
        problems.append(Problem("warning", what, f"{where}.is_path_mandatory", mend))
    return problems


def _served_at(path: str, parameters: Parameters) -> tuple[Collection[str], str]:
    """Ids of the containers that are served at one of our paths, and the id that need not be named."""
    for id_, own_path in parameters.container_paths.items():
        if path == own_path:
            return {id_}.intersection(parameters.allowed_container_ids), id_
    if path == parameters.frame_path:
        return parameters.allowed_container_ids, ""
    if path != parameters.script_path:
        return (), ""
    elsewhere = parameters.container_paths if parameters.is_path_mandatory else {}
    return [id_ for id_ in parameters.allowed_container_ids if id_ not in elsewhere], ""


def refuse(request: IncomingRequest, parameters: Parameters) -> Refused | None:
    """Containers that are not served."""
    may_be_named = request.path == parameters.script_path or request.path in _dependency_files(parameters)
    hosts = parameters.dependency_hosts if may_be_named else ()
    return _scripts.refuse(request, *_served_at(request.path, parameters), hosts)


@client(
    "web_container",
    aliases=("gtm_client",),
    check=check,
    paths=paths,
    methods=_scripts.METHODS,
    refuse=refuse,
)
def claim(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined:
    """Serve a listed container's script or frame, or what the script loads further."""
    path = request.path
    if path not in paths(parameters):
        return Declined("the path is none of this client's")
    if request.method not in _scripts.METHODS:
        return Declined("the method is neither GET nor HEAD")
    ids, own_id = _served_at(path, parameters)
    if path == parameters.frame_path:
        return _scripts.serve(request, "/ns.html", ids, _FRAME)
    upstream_path = path if path in _dependency_files(parameters) else "/gtm.js"
    return _scripts.serve(request, upstream_path, ids, _serving(parameters), own_id)


_FRAME = _scripts.Serving(())
"""The frame loads no further scripts of Google's."""


def _serving(parameters: Parameters) -> _scripts.Serving:
    listed = (_scripts.gtm_file("/gtm.js", f"id={id_}") for id_ in parameters.allowed_container_ids)
    return _scripts.Serving(tuple(listed), parameters.compress, parameters.dependency_hosts)
