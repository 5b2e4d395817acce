"""Line-up: who takes part in `benchmarks.load`.

Servers that answer and do nothing else, ours without tags, and those that do the whole job for two vendors,
over plain HTTP or TLS. Node, nginx and what of the other tag managers is on npm come with `--peers`, the rest
of them with `--peer-source`.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contenders import (
    AWAITED,
    CONTAINER,
    TAGS,
    UNBATCHED,
    Contender,
    started_nginx,
    started_node,
    started_sgtm,
    started_yardstick,
)
from benchmarks.stand_in import StartedStandIn, started_stand_in
from benchmarks.tag_managers import started_walkeros, started_webcm

WITH_SOURCE = {"walkerOS": started_walkeros, "WebCM": started_webcm}


def start_all(stack: ExitStack, options: argparse.Namespace) -> list[Contender]:
    """Everybody who takes part; with vendors that speak TLS those who have a vendor, behind the first."""
    contenders = [stack.enter_context(started_yardstick("bare aiohttp, 204", "bare"))]
    if options.peers:
        contenders.insert(0, stack.enter_context(started_node("Node, 204", "bare")))
    if not options.vendor_tls:
        contenders += start_answerers(stack, options)
    for delay_ms in options.vendor_ms:
        contenders += start_jobs(stack, delay_ms, options)
    return contenders


def start_answerers(stack: ExitStack, options: argparse.Namespace) -> list[Contender]:
    """Servers without vendors."""
    enter, memory = stack.enter_context, ("--outbox", "memory")
    contenders = [
        enter(started_yardstick("canned answer, uvloop", "canned")),
        enter(started_sgtm("sgtm, no tags", CONTAINER)),
        enter(started_sgtm("sgtm, no tags, sqlite", CONTAINER, more=())),
        enter(started_sgtm("sgtm, --edge off", CONTAINER, more=(*memory, "--edge", "off"))),
    ]
    if options.peers:
        contenders.append(enter(started_node("Node, querystring", "querystring")))
        contenders.append(enter(started_nginx("nginx, return 204")))
    if options.container is not None:
        contenders.append(enter(started_sgtm("sgtm, your container", options.container.read_text())))
    for text in options.contender:
        name, _, url = text.partition("=")
        contenders.append(Contender(name, url))
    return contenders


def start_jobs(stack: ExitStack, delay_ms: int, options: argparse.Namespace) -> list[Contender]:
    """The whole job: ours in its default mode, with the memory outbox and with both vendors awaited, and
    others' ways."""
    enter = stack.enter_context
    vendor = enter(started_stand_in(delay_ms, is_tls=options.vendor_tls))
    name = f"{', TLS' if options.vendor_tls else ''}, {delay_ms} ms"
    tags, unbatched = (text.replace("VENDOR", vendor.url) for text in (TAGS, UNBATCHED))
    jobs = [
        enter(started_yardstick(f"plain{name}", "plain", vendor)),
        enter(started_sgtm(f"sgtm{name}", CONTAINER + tags, vendor, more=())),
        enter(started_sgtm(f"sgtm, memory{name}", CONTAINER + tags, vendor)),
        enter(started_sgtm(f"sgtm, awaited{name}", AWAITED + unbatched, vendor)),
    ]
    if options.peers:
        jobs.append(enter(started_node(f"Node, undici{name}", "undici", vendor)))
        jobs.append(enter(started_node(f"Node, fetch{name}", "fetch", vendor)))
        jobs.append(enter(started_walkeros(f"walkerOS, npm{name}", vendor)))
    return jobs + start_from_source(stack, name, vendor, options)


def start_from_source(
    stack: ExitStack, name: str, vendor: StartedStandIn, options: argparse.Namespace
) -> list[Contender]:
    """The tag managers of `--peer-source`."""
    jobs = []
    for text in options.peer_source:
        peer, _, folder = text.partition("=")
        if peer not in WITH_SOURCE:
            raise SystemExit(f"--peer-source {text}: it is one of {', '.join(WITH_SOURCE)}, as NAME=FOLDER")
        jobs.append(stack.enter_context(WITH_SOURCE[peer](peer + name, vendor, Path(folder))))
    return jobs


def add_peer_options(parser: argparse.ArgumentParser) -> None:
    """`--peers` and `--peer-source`."""
    parser.add_argument("--peers", action="store_true", help="Node, nginx, walkerOS (needs node, npm, nginx)")
    parser.add_argument(
        "--peer-source",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help=f"{' or '.join(WITH_SOURCE)}, built there (see benchmarks/tag_managers.py)",
    )
