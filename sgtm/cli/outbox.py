"""Set up the outbox of many machines: sgtm outbox init

Makes the stream and the consumer on the broker that --nats-url names (JetStream of NATS), or changes what
may be changed of them, and says what the broker can be trusted with. Run it again as often as you like.
"""

import argparse
import asyncio
import os

from sgtm import settings_sources
from sgtm.delivery.outbox.nats_setup import DAY_S, Setup, set_up

SETTINGS = (
    "nats_urls",
    "nats_stream",
    "nats_credentials_file",
    "nats_user",
    "nats_password_file",
    "nats_tls_ca",
    "nats_tls_certificate",
    "nats_monitoring_urls",
)
_GIB = 1_073_741_824


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, where the broker is, and what may be chosen."""
    parser.add_argument("action", choices=["init"], help="init: make stream and consumer")
    parser.add_argument(
        "--max-bytes",
        type=int,
        default=10 * _GIB,
        metavar="BYTES",
        help="most that the stream may hold, at most 70 %% of the broker's disk (default 10 GiB)",
    )
    parser.add_argument("--replicas", type=int, default=1, help="3 in a cluster of three servers (default 1)")
    parser.add_argument(
        "--max-age-days", type=int, default=8, metavar="DAYS", help="longest expiry of any tag and a day (8)"
    )
    parser.add_argument(
        "--max-message-bytes",
        type=int,
        default=2_097_152,
        metavar="BYTES",
        help="largest message, at most max_payload of the server (default 2 MiB)",
    )
    parser.add_argument(
        "--ack-wait-s",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="time after which what a dead deliverer had in hand comes to another one (default 15)",
    )
    settings_sources.add_arguments(parser, SETTINGS)


def run(arguments: argparse.Namespace) -> int:
    """Do it, and say so."""
    said = {name: value for name, value in vars(arguments).items() if name in SETTINGS}
    chosen = settings_sources.load(said, os.environ)
    setup = Setup(
        max_bytes=arguments.max_bytes,
        replicas=arguments.replicas,
        max_age_s=arguments.max_age_days * DAY_S,
        max_message_bytes=arguments.max_message_bytes,
        ack_wait_s=arguments.ack_wait_s,
    )
    done, promise = asyncio.run(set_up(chosen, setup))
    print("\n".join(done))
    print(promise)
    for weak in promise.weak:
        print(f"  {weak}")
    return 0
