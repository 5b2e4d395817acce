"""Send one hit through a running server, and say hop by hop what became of it.

It opens a preview session of its own through the admin listener (`--admin-host`, `--admin-port`,
`--data-folder`, SGTM_ADMIN_TOKEN), sends the hit to the public address with the session's mark, and asks the
session. Nobody else's requests are touched, and nothing is sent to vendors unless `--send` says so.

  sgtm ping
  sgtm ping --url https://sst.shop.example      through DNS, balancer and proxies
  sgtm ping --file samples/order.http --send    a recorded hit, up to the vendors' answers

The hit is a page view of Google Analytics 4, with consent, for the measurement id G-SGTMPING, unless
`--file` gives another. Exit status: 0 all is well, 1 something is not, 2 the server cannot be asked.
"""

import argparse
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from sgtm import __version__
from sgtm.cli import _admin
from sgtm.cli._inputs import read_recorded
from sgtm.cli._ping_view import Hop, hops
from sgtm.cli._posting import ADDED_HEADERS, post, read_url
from sgtm.dry_run import PLAIN_REQUEST
from sgtm.errors import SettingsError
from sgtm.messages import IncomingRequest
from sgtm.observability.show import inert
from sgtm.preview.marks import HEADER
from sgtm.preview.view import RequestView
from sgtm.settings import Settings

POLL_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--file", default="", metavar="FILE", help="an .http file with another hit")
    parser.add_argument("--url", default="", help="public address; default: where the server listens")
    parser.add_argument("--send", action="store_true", help="let tags send to vendors, and wait for answers")
    parser.add_argument(
        "--timeout-s",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="until the request is found and its deliveries are settled (default 15)",
    )
    parser.add_argument("--json", action="store_true", help="the whole walk, for programs")
    _admin.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Send it, and say what became of it."""
    chosen = _admin.settings_of(arguments)
    about = _ask(chosen, "GET", "bootstrap")
    address = arguments.url or _reachable(about["url"])
    request = _request(arguments.file, address)
    session = _ask(chosen, "POST", "sessions", {"container": "published", "sends": arguments.send})
    try:
        marked = replace(request, headers=(*request.headers, (HEADER, session["token"].encode())))
        began = time.monotonic()
        status, _ = post(address, marked, verifies=bool(arguments.url))
        took_ms = (time.monotonic() - began) * 1000
        view = _settled(chosen, session["id"], arguments.timeout_s, sends=arguments.send)
    finally:
        _ask(chosen, "DELETE", f"sessions/{session['id']}")
    found = [Hop("answered", f"{address}: {status} after {took_ms:.1f} ms", status >= 400)]
    found += _nobody() if view is None else hops(view, sends=arguments.send)
    if arguments.json:
        print(msgspec.json.encode({"status": status, "took_ms": took_ms, "view": view}).decode())
    else:
        print(f"container {about['container'].get('id', '')} {about['container'].get('version', '')}")
        print("\n".join(inert(f"{hop}") for hop in found))
    return 1 if any(hop.is_wrong for hop in found) else 0


def _nobody() -> list[Hop]:
    mend = "it is not in the session: it reached another server, or something before it answered (see --url)"
    return [Hop("request", mend, True)]


def _ask(chosen: Settings, method: str, path: str, body: object = None) -> Any:
    """What the preview says. Raises NoAnswer."""
    answer = _admin.ask(chosen, method, f"/preview/api/{path}", body)
    if answer.status < 300:
        return answer.body
    said = answer.body.get("error", "") if isinstance(answer.body, dict) else ""
    mend = "a ping needs the server's preview: --preview on" if answer.status == 404 else "try again"
    raise _admin.NoAnswer(f"answered {answer.status} {said}".strip(), where="the preview", mend=mend)


def _reachable(url: str) -> str:
    """Who listens on every address is asked on this machine's own."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _request(file: str, address: str) -> IncomingRequest:
    now = time.time_ns() // 1_000
    if file:
        request = read_recorded(Path(file), now)
        return replace(
            request, headers=tuple(pair for pair in request.headers if pair[0] not in ADDED_HEADERS)
        )
    page = quote(f"https://{read_url(address).hostname}/sgtm-ping", safe="")
    visitor = f"{now // 1_000_000}.{now % 1_000_000}"
    query = f"v=2&tid=G-SGTMPING&_p={now}&cid={visitor}&gcs=G111&en=page_view&dl={page}"
    agent = f"Mozilla/5.0 (compatible) sgtm-ping/{__version__}".encode()
    return replace(
        PLAIN_REQUEST,
        path="/g/collect",
        query=query.encode(),
        headers=((b"user-agent", agent),),
        received_micros=now,
    )


def _settled(chosen: Settings, session: str, timeout_s: float, *, sends: bool) -> RequestView | None:
    """The request of the session when nothing of it is under way any more, or the time is over; None where
    there is none."""
    if not 0 < timeout_s <= 600:
        raise SettingsError("is not between 0 and 600", where="--timeout-s", mend="give seconds")
    until = time.monotonic() + timeout_s
    before: Any = None
    while True:
        listed = _ask(chosen, "GET", f"sessions/{session}/requests")["requests"]
        now: Any = listed[0] if listed else None
        is_quiet = now is not None and now["status"] and now == before
        if is_quiet and not (sends and now["deliveries"]["waiting"]):
            break
        if time.monotonic() > until:
            break
        before = now
        time.sleep(POLL_S)
    if now is None:
        return None
    return msgspec.convert(_ask(chosen, "GET", f"sessions/{session}/requests/{now['id']}"), RequestView)
