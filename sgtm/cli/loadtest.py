"""Send hits to a server of yours at a rate, and say whether it keeps what you ask of it.

Hits come as visitors do, at random moments (Poisson) and whether or not earlier ones are answered; a time
counts from the moment at which the hit was due. Each hit has a client id and an event id of its own. Tags
fire and send to vendors as always: use a container whose tags lead to stand-ins, or your vendors are tested.

  sgtm loadtest http://localhost:8080 --rate 200 --seconds 30
  sgtm loadtest https://sst.shop.example --rate 50 --i-own-this-server --p99-ms 200

Exit status: 0 within the thresholds, 1 not, 2 it could not be measured.
"""

import argparse
import asyncio
import ipaddress
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec.structs import replace

from sgtm.cli._inputs import read_recorded
from sgtm.cli._load import Measured, load, quantile
from sgtm.cli._posting import ADDED_HEADERS, read_url
from sgtm.dry_run import PLAIN_REQUEST
from sgtm.errors import SettingsError
from sgtm.messages import IncomingRequest

MOST_RATE = 5_000.0
MOST_SECONDS = 3_600.0
SHARES = (50, 95, 99, 99.9)
LATE_MS = 20.0
"""If this program begins hits later than that, what it measures is itself."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("url", metavar="URL", help="the server, as http://localhost:8080")
    parser.add_argument("--rate", type=float, default=100.0, metavar="HITS", help="a second (default 100)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument("--connections", type=int, default=64, metavar="N", help="kept (default 64)")
    parser.add_argument("--file", default="", metavar="FILE", help="an .http file: this hit, again and again")
    parser.add_argument("--p95-ms", type=float, default=500.0, metavar="MS", help="threshold (default 500)")
    parser.add_argument("--p99-ms", type=float, default=1000.0, metavar="MS", help="threshold (default 1000)")
    parser.add_argument("--errors", type=float, default=1.0, metavar="PERCENT", help="threshold (default 1)")
    parser.add_argument(
        "--i-own-this-server", action="store_true", help="needed for a server that is not on this machine"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, and judge."""
    _judge_arguments(arguments)
    make = _maker(arguments.file)
    measured = asyncio.run(
        load(arguments.url, make, arguments.rate, arguments.seconds, arguments.connections)
    )
    broken = list(_broken(measured, arguments))
    print("\n".join([*_lines(measured), *(broken or ["within all thresholds"])]))
    return 1 if broken else 0


def _judge_arguments(arguments: argparse.Namespace) -> None:
    host = read_url(arguments.url).hostname or ""
    for name, most in (("rate", MOST_RATE), ("seconds", MOST_SECONDS), ("connections", 1_000)):
        if not 0 < getattr(arguments, name) <= most:
            raise SettingsError(f"is not above 0 and at most {most:g}", where=f"--{name}", mend="give less")
    if not (arguments.i_own_this_server or _is_of_this_machine(host)):
        mend = "a load on a server of somebody else is an attack: give --i-own-this-server if it is yours"
        raise SettingsError(f"{host} is not this machine", where="URL", mend=mend)


def _is_of_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _maker(file: str) -> Callable[[int], IncomingRequest]:
    """What gives the hit of each number."""
    if file:
        recorded = read_recorded(Path(file), time.time_ns() // 1_000)
        headers = tuple(pair for pair in recorded.headers if pair[0] not in ADDED_HEADERS)
        hit = replace(recorded, headers=headers)
        return lambda _: hit
    began, run = int(time.time()), random.randrange(2**32)

    def page_view(number: int) -> IncomingRequest:
        page = "https%3A%2F%2Fwww.shop.example%2Fsgtm-loadtest"
        query = (
            f"v=2&tid=G-SGTMLOAD&_p={run}{number}&cid={run}{number}.{began}&gcs=G111&en=page_view&dl={page}"
            f"&ep.event_id=load-{run}-{number}"
        )
        agent = (b"user-agent", b"Mozilla/5.0 (compatible) sgtm-loadtest")
        return replace(PLAIN_REQUEST, path="/g/collect", query=query.encode(), headers=(agent,))

    return page_view


def _lines(measured: Measured) -> Iterator[str]:
    times = ", ".join(f"p{share:g} {quantile(measured.latencies_ms, share / 100):.1f} ms" for share in SHARES)
    yield f"{measured.sent:,} hits in {measured.took_s:.1f} s, {measured.sent / measured.took_s:,.0f}/s"
    yield f"answered within {times}"
    said = ", ".join(f"{count} {what}" for what, count in measured.errors.most_common(5))
    yield f"errors {measured.error_share:.2%}{f': {said}' if said else ''}"
    late = quantile(measured.late_ms, 0.99)
    if late > LATE_MS:
        yield f"note: this program was itself {late:.0f} ms late (p99): use an idle machine, or ask for less"


def _broken(measured: Measured, arguments: argparse.Namespace) -> Iterator[str]:
    """The thresholds that were not kept (SPEC: requirements R245: p95 < 500 ms, errors < 1 %)."""
    if not measured.sent:
        yield "FAILED: no hit was due in this time; give more --seconds or a higher --rate"
        return
    for share, most in ((95, arguments.p95_ms), (99, arguments.p99_ms)):
        found = quantile(measured.latencies_ms, share / 100)
        if found > most:
            yield f"FAILED: p{share} is {found:.1f} ms, at most {most:g} are wanted"
    if measured.error_share * 100 > arguments.errors:
        yield f"FAILED: {measured.error_share:.2%} are errors, at most {arguments.errors:g}% are wanted"
