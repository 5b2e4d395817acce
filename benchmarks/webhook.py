"""Webhook: what a signed webhook costs through the declarative client, beside the way anybody would write it.

    python -m benchmarks.webhook [--rounds 5] [--seconds 1] [--connections 16]

The same webhooks of Stripe (1.2 KB, each with an id of its own, signed) for an aiohttp handler that checks
the signature and reads the JSON (`yardsticks.py`), and for ours, which also maps the 30 fields of the recipe,
keeps a record and remembers the id: with the memory outbox, and with sqlite, where the answer waits for the
disk. Contenders take turns; the ratio is of CPU within the same round. Every answer is counted.
"""

import argparse
import hashlib
import hmac
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import uvloop

from benchmarks.contenders import OTHER_CORES, Contender, started_sgtm, started_yardstick
from benchmarks.interleaved import turns
from benchmarks.load import report, rows_of, run_round
from benchmarks.results import save
from benchmarks.yardsticks import WEBHOOK_SECRET

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "examples" / "webhooks" / "stripe"
LIMIT_S = 120.0


class Webhooks:
    """Signed webhooks without end, each new: what came before would be no work."""

    def __init__(self) -> None:
        sample = (RECIPE / "samples" / "1-checkout.http").read_bytes().partition(b"\n\n")[2].strip()
        self._begin, _, self._end = sample.partition(b"evt_1SXample0001")
        self._numbers = count()

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: int) -> bytes:
        return self._wire(index)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield self._wire(next(self._numbers))

    def _wire(self, number: int) -> bytes:
        body = b"%sevt_%012d%s" % (self._begin, number, self._end)
        at = int(time.time())
        digest = hmac.new(WEBHOOK_SECRET, b"%d.%s" % (at, body), hashlib.sha256).hexdigest()
        return (
            b"POST /webhooks/stripe HTTP/1.1\r\nHost: sst.shop.example\r\nContent-Type: application/json\r\n"
            b"Stripe-Signature: t=%d,v1=%s\r\nContent-Length: %d\r\n\r\n%s"
            % (at, digest.encode(), len(body), body)
        )


def container() -> str:
    """The recipe without its tags; 204, as the load expects."""
    text = (RECIPE / "container.yaml").read_text().partition("\ntriggers:")[0]
    return text.replace("    event_type: type\n", "    event_type: type\n    status: 204\n", 1) + "\n"


async def compare(contenders: list[Contender], options: argparse.Namespace) -> None:
    """All rounds; each contender meets a short warm-up first."""
    webhooks = Webhooks()
    for contender in contenders:
        await run_round(contender, webhooks, options.connections, 0.3)  # type: ignore[arg-type]
        contender.forget()
    for contender in turns(contenders, options.rounds, "webhook", LIMIT_S):
        await run_round(contender, webhooks, options.connections, options.seconds)  # type: ignore[arg-type]


def main() -> int:
    """Run the comparison; 1 where something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    os.environ["STRIPE_WEBHOOK_SECRET"] = WEBHOOK_SECRET.decode()
    with ExitStack() as stack:
        contenders = [
            stack.enter_context(started_yardstick("plain: aiohttp, hmac, json", "webhook")),
            stack.enter_context(started_sgtm("sgtm, memory", container())),
            stack.enter_context(started_sgtm("sgtm, sqlite", container(), more=())),
        ]
        uvloop.run(compare(contenders, options))
        rows = rows_of(contenders)
    report(rows)
    save("webhook", rows, sys.argv[1:])
    return int(any(row.wrong or not row.hits for row in rows))


if __name__ == "__main__":
    sys.exit(main())
