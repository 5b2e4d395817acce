"""See it work: sgtm demo

Starts the real server with a shop's container and a stand-in for the vendors, sends it recorded
browser hits, shows for each hit the client, the event, the tags and what each vendor received and
answered, and stays up for hits of your own. With GA4_MEASUREMENT_ID, META_PIXEL_ID and
META_ACCESS_TOKEN in the environment the events, the recorded ones too, really go to these vendors.
"""

import argparse
import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import uvloop

from sgtm import settings_sources
from sgtm.demo.tour import SHOP, Tour
from sgtm.observability import logs
from sgtm.server.listening import AddressInUse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Another folder than the shop's, the port, and whether to stay."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=SHOP,
        help="folder with container.yaml and hits/ (default: the shop)",
    )
    parser.add_argument("--port", default=None, metavar="PORT", help="port to listen on (default 8080)")
    parser.add_argument("--once", action="store_true", help="end after the recorded hits")


def run(arguments: argparse.Namespace) -> int:
    """Take the tour; the exit status."""
    # the recorded hits come from "behind a proxy": each says which visitor sent it
    tour = {
        "port": arguments.port,
        "host": "127.0.0.1",
        "outbox": "memory",
        "trusted_proxies": ["127.0.0.0/8"],
        "egress_allow": ["127.0.0.0/8", os.environ.get("SGTM_EGRESS_ALLOW", "")],  # the stand-in, and yours
        "log_level": "warning",
    }
    chosen = settings_sources.load(tour, os.environ)
    logs.configure(chosen.log_level, chosen.log_format)
    try:
        demo = Tour(arguments.folder, chosen)
    except AddressInUse as error:
        print(f"error: {error}", file=sys.stderr)
        return os.EX_TEMPFAIL
    with suppress(asyncio.CancelledError):
        uvloop.run(demo.run(stays=not arguments.once))
    return 0
