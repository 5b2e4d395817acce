"""GA4: claims the hits of gtag.js, Google Tag Manager's web container and other GA4 senders.

One hit is one event, or one per line of its body. Visitors are known by the id that the script sends
(`javascript`), or by a cookie that only the server can read (`server`): FPID, set on the registrable
domain, HttpOnly, 400 days, and its companion FPLC, which carries the visitor to other domains of yours.
Cookies follow consent: where analytics_storage is denied none is read or written, and the hit still
counts as an event.

    curl -i 'https://sst.example/g/collect?v=2&tid=G-ABC123&cid=555.1700000000&en=page_view'

With `gtag_ids` it also serves gtag.js itself, from your own domain (`/gtag/js?id=G-ABC123`).

SPEC: requirements R53-R70, R202, R254, R262, R276-R281, R298, R299; ga4-protocol 5 and 11.
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from sgtm.clients import _scripts
from sgtm.clients import _server_managed as visitors
from sgtm.clients._redirects import may_redirect
from sgtm.component import client
from sgtm.consent import read_consent
from sgtm.cookies import MAX_AGE_CAP_S, cookie_names, read_cookie
from sgtm.errors import Problem
from sgtm.messages import (
    Answer,
    Claimed,
    Cookie,
    Declined,
    EventData,
    IncomingRequest,
    Refused,
    redirect,
)
from sgtm.protocols.gtag import command_stream, is_resent, only_tag_id, parse_events, why_not_a_hit
from sgtm.protocols.query import read_query

GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
ANSWERS = {204: Answer(204), 200: Answer(200), "gif": Answer(200, (("Content-Type", "image/gif"),), GIF)}
MAX_REFRESHED_COOKIES = 20
METHODS = ("GET", "POST")

_COOKIE_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]*$"


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which hits the client takes, how it knows visitors, and how it answers."""

    paths: Annotated[
        tuple[Annotated[str, Meta(pattern="^/")], ...],
        Meta(
            description="Exact paths that the client claims; gtag appends `/g/collect`. Empty: it only "
            "serves gtag.js."
        ),
    ] = ("/g/collect",)
    measurement_ids: Annotated[
        tuple[str, ...],
        Meta(
            description="Measurement ids that are yours; hits of others are answered like these and make no "
            "event. Empty: all.",
            examples=[["G-ABC123"]],
        ),
    ] = ()
    event_names: Annotated[
        tuple[str, ...], Meta(description="Names of the events to process; others are dropped. Empty: all.")
    ] = ()
    cookie_management: Annotated[
        Literal["javascript", "server"],
        Meta(description="Who knows the visitor: the script in the page, or this server by its own cookie."),
    ] = "javascript"
    migrate_from_js_client_id: Annotated[
        bool,
        Meta(description="A visitor without FPID keeps the id of `_ga`. Otherwise he becomes a new visitor."),
    ] = False
    cookie_name: Annotated[
        str,
        Meta(
            pattern=_COOKIE_NAME,
            description="Name of the server's cookie; empty: it is neither read nor written.",
        ),
    ] = "FPID"
    cookie_domain: Annotated[
        str, Meta(description='Domain of the cookies; "auto" is the registrable domain, "" this host only.')
    ] = "auto"
    cookie_path: Annotated[str, Meta(pattern="^/[!-:<-~]*$", description="Path of the cookies.")] = "/"
    cookie_max_age_s: Annotated[
        int,
        Meta(
            ge=1, description="Life of the server's cookie in seconds, 400 days at most; moves with each hit."
        ),
    ] = MAX_AGE_CAP_S
    cookie_same_site: Annotated[
        Literal["Lax", "Strict", "None", ""],
        Meta(description='SameSite of the cookies; "None" for pages of another site, "" leaves it out.'),
    ] = "Lax"
    cookie_secure: Annotated[bool, Meta(description="Send the cookies over https only.")] = True
    cookie_http_only: Annotated[bool, Meta(description="Hide the server's cookie from scripts.")] = True
    fplc: Annotated[
        bool,
        Meta(description="Set FPLC (20 hours) and accept it from your other domains; needs `linker_key`."),
    ] = True
    linker_key: Annotated[
        str,
        Meta(
            pattern="^(.{16,})?$",
            description="Key of FPLC and of new ids, at least 16 characters of chance, the same in the "
            "containers of all your domains, as `${ENV}`. It is no vendor's credential and opens nothing "
            "else. Empty: no FPLC, and hits sent together by a new visitor get an id each.",
        ),
    ] = ""
    unset_consent: Annotated[
        Literal["granted", "denied"],
        Meta(
            description="What it means for cookies that a hit says nothing about consent. Left out: what "
            "the container says (`consent.unset`)."
        ),
    ] = "granted"
    refresh_cookies: Annotated[
        tuple[str, ...],
        Meta(
            description="Cookies of scripts that each answer sets again, so that they live as long as the "
            "server's; `*` at the end is any rest. `_ga…` follows analytics_storage, others ad_storage.",
            examples=[["_ga", "_ga_*", "_fbp"]],
        ),
    ] = ()
    answer: Annotated[
        Literal[204, 200, "gif"], Meta(description="The answer: status 204 or 200 without body, or a pixel.")
    ] = 204
    waits_for_tags: Annotated[
        bool, Meta(description="Answer when all tags have succeeded, and 502 when one has failed.")
    ] = False
    resent_hits: Annotated[
        Literal["fire", "ga4_only"],
        Meta(
            description="Which tags fire on hits that the browser sends again after consent: all, or beside "
            "GA4's only those that need what was granted now; the others fired the first time."
        ),
    ] = "fire"
    drop_repeated_hits: Annotated[
        bool,
        Meta(
            description="Drop an event that came before: same visitor, session, event, page load and hit "
            "number. Each worker remembers the latest 65,536. Hits without hit number are never dropped."
        ),
    ] = False
    redirect_parameter: Annotated[
        str, Meta(description="Query parameter with an address to send the browser to. Empty: none.")
    ] = ""
    redirect_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Hosts that it may name; `*.` in front stands for all below.",
            examples=[["*.example.com"]],
        ),
    ] = ()
    gtag_ids: Annotated[
        tuple[Annotated[str, Meta(pattern="^[A-Z]+-[A-Za-z0-9-]+$")], ...],
        Meta(
            description="Tags whose gtag.js this server fetches and serves; another id is answered 400. "
            "Empty: no gtag.js is served.",
            examples=[["G-ABC123"]],
        ),
    ] = ()
    gtag_path: Annotated[
        str,
        Meta(
            pattern=r"^/[^?#\s]*[^/?#\s]$",
            description="Where it is served: the script at `<this>/js`, what it loads for further tags at "
            "`<this>/destination`.",
        ),
    ] = "/gtag"
    dependency_hosts: _scripts.DependencyHosts = ()
    compress: _scripts.Compress = True
    service_worker_path: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9._/-]*[A-Za-z0-9._-])?$",
            description="Where the upstream keeps the frame of gtag's service worker (Google: "
            "`/static/service_worker`). Empty: the frame is answered 404, and pages send their hits "
            "themselves.",
            examples=["/static/service_worker"],
        ),
    ] = ""


def check(parameters: dict[str, Any], where: str) -> list[Problem]:
    """What the struct alone cannot find: a linker without key, an open redirect, a life that is cut."""
    problems = []
    is_server_managed = parameters.get("cookie_management") == "server"
    if is_server_managed and parameters.get("fplc") and not parameters.get("linker_key"):
        mend = "write `linker_key: ${NAME}`, or `fplc: false` if there is one domain only"
        problems.append(Problem("warning", "FPLC is on and has no key, so none is set", where, mend))
    if parameters.get("redirect_parameter") and not parameters.get("redirect_hosts"):
        mend = "list the hosts in `redirect_hosts`"
        problems.append(
            Problem("error", "would redirect to no host at all", f"{where}.redirect_parameter", mend)
        )
    if parameters.get("paths") == [] and not parameters.get("gtag_ids"):
        what = "neither claims a path nor serves a script"
        problems.append(Problem("error", what, f"{where}.paths", "write `paths: [/g/collect]`"))
    life = parameters.get("cookie_max_age_s")
    if isinstance(life, int) and life > MAX_AGE_CAP_S:
        what = "browsers keep no cookie longer than 400 days: cut to 34560000"
        problems.append(Problem("warning", what, f"{where}.cookie_max_age_s", "write 34560000"))
    return problems + _scripts.check_serving(parameters, where, has_scripts=bool(parameters.get("gtag_ids")))


def _gtag_files(parameters: Parameters) -> dict[str, str]:
    """Path here -> path at the upstream, of what is served of gtag."""
    if not parameters.gtag_ids:
        return {}
    prefixes = (parameters.gtag_path, "/gtag") if parameters.dependency_hosts else (parameters.gtag_path,)
    return {f"{prefix}/{name}": f"/gtag/{name}" for prefix in prefixes for name in ("js", "destination")}


def refuse(request: IncomingRequest, parameters: Parameters) -> Refused | None:
    """Hits of other people's properties.

    SPEC: reliability 5.1. What cannot be told without parsing (a batch that names an id of its own in a
    line) is left to `claim`, which answers it in the same way."""
    if request.path in parameters.paths:
        if not parameters.measurement_ids or request.method not in METHODS or why_not_a_hit(request):
            return None
        tag_id = only_tag_id(request)
        if tag_id is None or tag_id in parameters.measurement_ids:
            return None
        return Refused(ANSWERS[parameters.answer], "measurement id not listed")
    return None  # a script: another client may serve what this one does not


@client(
    "ga4",
    aliases=("gaaw_client",),
    check=check,
    paths=lambda parameters: (*parameters.paths, *_gtag_files(parameters)),
    methods=METHODS,
    refuse=refuse,
    collect_paths=lambda parameters: parameters.paths,
    client_id_key=b"cid",
    measurement_id_key=b"tid",
)
def claim(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined:
    """Hits of gtag.js and its kin, single and in batches, with server-managed visitor ids if wanted."""
    if request.path not in parameters.paths:
        return _claim_script(request, parameters)
    if request.method not in METHODS:
        return Declined("the method is neither GET nor POST")
    reason = why_not_a_hit(request)
    if reason is not None:
        return Declined(reason)
    received = parse_events(request)
    if not received:
        return Claimed([], Answer(400), warnings=("the hit holds no event",))
    events, warnings = _allowed(received, parameters)
    if not events:
        return Claimed([], ANSWERS[parameters.answer], warnings=tuple(warnings))
    can_ask_for_pixels = "x-ga-mp2-richsstsse" in events[0]
    repeat_keys = _repeat_keys(request, events) if parameters.drop_repeated_hits else ()
    cookies = _identify(request, events, parameters)
    answer, is_redirect = _answer(request, parameters, warnings)
    notes = tuple("sent again after consent" if is_resent(data) else "" for data in events)
    return Claimed(
        events,
        Answer(answer.status, answer.headers, answer.body, cookies) if cookies else answer,
        waits_for_tags=parameters.waits_for_tags,
        failure_answer=Answer(502, cookies=cookies) if parameters.waits_for_tags else None,
        warnings=tuple(warnings),
        answer_with_pixels=(
            partial(_ask_for_pixels, cookies) if can_ask_for_pixels and not is_redirect else None
        ),
        repeat_keys=repeat_keys,
        resent_hits=parameters.resent_hits,
        notes=notes if any(notes) else (),
    )


def _claim_script(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined:
    """gtag's files, and the frame of its service worker beside each path that hits come to."""
    file = _gtag_files(parameters).get(request.path) if request.method in _scripts.METHODS else None
    if file is not None:
        listed = (_scripts.gtag_file("/gtag/js", f"id={id_}") for id_ in parameters.gtag_ids)
        serving = _scripts.Serving(tuple(listed), parameters.compress, parameters.dependency_hosts)
        if parameters.dependency_hosts or read_query(request.query).get("id") in parameters.gtag_ids:
            return _scripts.serve(request, file, parameters.gtag_ids, serving)
        # a web container may serve it as a dependency; else nobody claims it
        return Declined("the id is none of gtag_ids")
    prefixes = [path.removesuffix("/g/collect") for path in parameters.paths if path.endswith("/g/collect")]
    frame = _scripts.service_worker(request, prefixes, parameters.service_worker_path)
    return frame or Declined("the path is none of this client's")


def _repeat_keys(request: IncomingRequest, events: list[EventData]) -> tuple[str, ...]:
    """What two copies of a hit have in common and no two hits. SPEC: R115; ga4-protocol 6 (`cid`, `_p`,
    `_s`), 11.1.3 (the events of a batch share one `_s`)."""
    names = ("client_id", "ga_session_id", "event_name", "x-ga-page_id", "x-ga-request_count")
    return tuple(
        "\n".join([str(index), *(str(data.get(name, "")) for name in names)])
        if "x-ga-request_count" in data and "x-ga-page_id" in data
        else f"{request.seed} {index}"
        for index, data in enumerate(events)
    )


def _allowed(events: list[EventData], parameters: Parameters) -> tuple[list[EventData], list[str]]:
    """The events that may be processed, and a warning for each kind of those that may not.

    SPEC: R65; reliability 5.1 (an unknown id is answered like the others and never forwarded)."""
    warnings = []
    if parameters.measurement_ids:
        known = [data for data in events if data.get("x-ga-measurement_id") in parameters.measurement_ids]
        if len(known) < len(events):
            warnings.append("the measurement id is not one of measurement_ids: no event")
        events = known
    if parameters.event_names:
        wanted = [data for data in events if data.get("event_name") in parameters.event_names]
        if len(wanted) < len(events):
            warnings.append("the event name is not one of event_names: no event")
        events = wanted
    return events, warnings


# -- who it is ---------------------------------------------------------------------------------


def _identify(
    request: IncomingRequest, events: list[EventData], parameters: Parameters
) -> tuple[Cookie, ...]:
    """Put the visitor's id into the events; the cookies that keep it.

    Without consent nothing is read or written and the script's id stays (R62, R281)."""
    is_server_managed = parameters.cookie_management == "server" and parameters.cookie_name != ""
    if not is_server_managed and not parameters.refresh_cookies and all(map(_has_id, events)):
        return ()
    is_unset_granted = parameters.unset_consent == "granted"
    consents = [read_consent(data) for data in events]
    denied = {
        name
        for consent in consents
        for name in consent.missing(("ad_storage", "analytics_storage"), is_unset_granted=is_unset_granted)
    }
    cookies = _refreshed(request, denied, parameters) if parameters.refresh_cookies else []
    may_store = "analytics_storage" not in denied
    if is_server_managed and may_store:
        visitor = _visitor(request, events[0], parameters)
        for data in events:
            _set_server_id(data, visitor.client_id)
        cookies += _visitor_cookies(request, visitor, parameters)
    else:
        _fill_script_id(request, events, may_store)
    return tuple(cookies)


def _visitor(request: IncomingRequest, data: EventData, parameters: Parameters) -> visitors.Visitor:
    """FPID, else an id brought by a link, else (migrating) the script's id, else a new one."""
    known = visitors.known_visitor(request, parameters.cookie_name)
    if known is not None:
        return known
    client_id = None
    if parameters.fplc:
        system = data.get("x-ga-system_properties")
        token = system.get("fplc") if isinstance(system, Mapping) else None
        client_id = visitors.linked_id(request, token, parameters.linker_key)
    if client_id is None:
        script_id = visitors.script_id(request, data.get("client_id"))
        client_id = script_id if parameters.migrate_from_js_client_id else None
        client_id = client_id or visitors.new_client_id(request, script_id, parameters.linker_key)
    return visitors.new_visitor(request, client_id, parameters.cookie_domain)


def _set_server_id(data: EventData, client_id: str) -> None:
    """SPEC: ga4-protocol 2.2 (`cid`): the server's id takes its place, the script's id is appended last."""
    if _has_id(data):
        data["x-ga-js_client_id"] = data["client_id"]
    data["client_id"] = client_id


def _fill_script_id(request: IncomingRequest, events: list[EventData], may_read: bool) -> None:
    """An id for hits that bring none: the cookie of the script, else a new one (R57)."""
    client_id = (visitors.script_id(request, None) if may_read else None) or visitors.new_script_id(request)
    for data in events:
        data["client_id"] = data.get("client_id") or client_id


def _has_id(data: EventData) -> bool:
    return bool(data.get("client_id"))


# -- cookies -----------------------------------------------------------------------------------


def _visitor_cookies(
    request: IncomingRequest, visitor: visitors.Visitor, parameters: Parameters
) -> list[Cookie]:
    """FPID, set again with each hit, and FPLC where it is due (R59, R60)."""
    fpid = _cookie(parameters, parameters.cookie_name, visitor.cookie_value, parameters.cookie_http_only)
    if not parameters.fplc or not parameters.linker_key:
        return [fpid]
    value = visitors.linker_value(request, visitor, parameters.linker_key)
    if value is None:
        return [fpid]
    return [fpid, _cookie(parameters, visitors.FPLC, value, is_http_only=False, life_s=visitors.FPLC_LIFE_S)]


def _refreshed(request: IncomingRequest, denied: Collection[str], parameters: Parameters) -> list[Cookie]:
    """The scripts' cookies that the container names, as they came, with a new life (R61, R62)."""
    names = [name for name in cookie_names(request) if _is_refreshed(name, parameters)]
    cookies = []
    for name in names[:MAX_REFRESHED_COOKIES]:
        kind = "analytics_storage" if name.startswith("_ga") else "ad_storage"
        value = read_cookie(request, name)
        if value and kind not in denied:
            cookies.append(_cookie(parameters, name, value, is_http_only=False))
    return cookies


def _is_refreshed(name: str, parameters: Parameters) -> bool:
    return name not in (parameters.cookie_name, visitors.FPLC) and any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
        for pattern in parameters.refresh_cookies
    )


def _cookie(
    parameters: Parameters, name: str, value: str, is_http_only: bool, life_s: int | None = None
) -> Cookie:
    return Cookie(
        name,
        value,
        min(parameters.cookie_max_age_s if life_s is None else life_s, MAX_AGE_CAP_S),
        parameters.cookie_domain,
        parameters.cookie_path,
        parameters.cookie_secure,
        is_http_only,
        parameters.cookie_same_site,
    )


# -- the answer --------------------------------------------------------------------------------


def _answer(request: IncomingRequest, parameters: Parameters, warnings: list[str]) -> tuple[Answer, bool]:
    """The answer of an accepted hit, and whether it is a redirect (R66: to listed hosts only)."""
    location = None
    if parameters.redirect_parameter:
        location = read_query(request.query).get(parameters.redirect_parameter)
    if location is None:
        return ANSWERS[parameters.answer], False
    if not may_redirect(location, parameters.redirect_hosts):
        warnings.append("the address to redirect to is no URL of one of redirect_hosts: not redirected")
        return ANSWERS[parameters.answer], False
    return redirect(location), True


def _ask_for_pixels(cookies: tuple[Cookie, ...], pixels: tuple[str, ...]) -> Answer:
    """SPEC: ga4-protocol 5.6, 11.1.9: status 200, any Content-Type, one message per block."""
    headers = (("Content-Type", "text/plain; charset=utf-8"),)
    return Answer(200, headers, command_stream(pixels), cookies)
