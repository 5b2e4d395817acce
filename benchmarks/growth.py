"""Growth: what a hit costs as it, its batch or the container grows. CPU of a hit, times the smallest one's.

    python -m benchmarks.growth [--rounds 5]

- hits of 0.3, 0.85, 4 and 16 KB, to GA4 and Meta (the target: at most +35 % from 0.85 to 4 KB)
- 1, 10 and 100 events in one request, without tags; per event
- containers of 2, 10 and 100 tags of which two fire (the target: the same cost)

One server for each container, all in one run, in turns (see `load.py`).
"""

import argparse
import os
import random
import statistics
import sys
from contextlib import ExitStack

import uvloop
from msgspec import Struct, field

from benchmarks.contenders import CONTAINER, OTHER_CORES, TAGS, Contender, started_sgtm
from benchmarks.hits import make_hits, purchase, wire_of
from benchmarks.interleaved import ratio, turns
from benchmarks.load import run_round
from benchmarks.results import save
from benchmarks.stand_in import started_stand_in

LIMIT_S = 300.0
SMALL = (
    "v=2&tid=G-ABC123DEF4&gcs=G111&gcd=13t3t3t3t5l1&cid=1.2&sid=3"
    "&dl=https%3A%2F%2Fshop.example%2F&en=page_view"
)
SILENT = """\
- name: Other {number}
  type: ga4
  firing_triggers: [Other]
  parameters: {{endpoint: "VENDOR"}}
"""
TRIGGERS = """\
triggers:
- {name: Other, type: custom_event, event_names: [never]}
"""


class Row(Struct):
    """One size of one thing that grows."""

    what: str
    size: str
    cpu_us: float
    """Of one hit, or of one event of a batch."""
    x_first: float
    hits: int
    wrong: int


class Step(Struct):
    """A size to measure: who is asked, and with what."""

    what: str
    size: str
    contender: Contender
    hits: list[bytes]
    events: int = 1
    cpu_us: list[float] = field(default_factory=list)
    wrong: int = 0
    count: int = 0


def wire_of_size(hit: bytes, size: int) -> bytes:
    """The hit with so many more event parameters that it has the size; what is behind the visitor's data goes
    into the body, as gtag sends what is long."""
    number = 0
    while len(hit) < size:
        hit += b"&ep.parameter_%d=some%%20value%%20%d" % (number, number)
        number += 1
    at = hit.index(b"&cu=EUR&")
    return posted(hit[:at], hit[at + 1 :])


def posted(query: bytes, body: bytes) -> bytes:
    """A POST on the wire."""
    head = wire_of(query).replace(b"GET ", b"POST ", 1)
    return head[:-2] + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def batch_of(count: int) -> bytes:
    """One request with so many events in its body."""
    chance = random.Random(count)
    line = "en=scroll&epn.percent_scrolled={}&_et={}"
    lines = [line.format(chance.randrange(100), chance.randrange(9999)) for _ in range(count)]
    body = "\r\n".join(lines).encode()
    return posted(purchase(chance).partition(b"&cu=")[0], body)


def start_all(stack: ExitStack) -> list[Step]:
    """All steps, with their servers."""
    enter = stack.enter_context
    vendor = enter(started_stand_in(0))
    tags = TAGS.replace("VENDOR", vendor.url)
    job = enter(started_sgtm("job", CONTAINER + tags, vendor))
    bare = enter(started_sgtm("no tags", CONTAINER))
    sizes = {"0.3 KB": [wire_of(SMALL.encode())], "0.85 KB": [wire_of(hit) for hit in make_hits(200)]}
    sizes |= {f"{size} KB": [wire_of_size(hit, size * 1024) for hit in make_hits(50)] for size in (4, 16)}
    steps = [Step("size of the hit", size, job, hits) for size, hits in sizes.items()]
    steps += [Step("events of a batch", str(size), bare, [batch_of(size)], size) for size in (1, 10, 100)]
    hits = [wire_of(hit) for hit in make_hits(200)]
    for count in (2, 10, 100):
        silent = "".join(SILENT.format(number=number) for number in range(count - 2))
        text = CONTAINER + TRIGGERS + (tags + silent).replace("VENDOR", vendor.url)
        server = enter(started_sgtm(f"{count} tags", text, vendor))
        steps.append(Step("tags, two fire", str(count), server, hits))
    return steps


async def compare(steps: list[Step], options: argparse.Namespace) -> None:
    """All rounds."""
    for is_warm, rounds in ((False, 1), (True, options.rounds)):
        for step in turns(steps, rounds, "growth" if is_warm else "warm-up", LIMIT_S):
            contender = step.contender
            contender.forget()
            before = contender.wrong
            await run_round(contender, step.hits, 64, options.seconds)
            if is_warm:
                step.cpu_us.append(contender.cpu_us[-1] / step.events)
                step.wrong += contender.wrong - before
                step.count += contender.hits


def rows_of(steps: list[Step]) -> list[Row]:
    """Medians, and the ratio to the first step of each kind."""
    first = {step.what: step for step in reversed(steps)}
    return [
        Row(
            step.what,
            step.size,
            statistics.median(step.cpu_us),
            ratio(step.cpu_us, first[step.what].cpu_us),
            step.count,
            step.wrong,
        )
        for step in steps
    ]


def main() -> int:
    """Run it; 1 where something was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="of one round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    with ExitStack() as stack:
        steps = start_all(stack)
        uvloop.run(compare(steps, options))
    rows = rows_of(steps)
    for row in rows:
        print(
            f"{row.what:20}{row.size:>10}{row.cpu_us:10.1f} us{row.x_first:8.2f} x{row.hits:9}{row.wrong:7}"
        )
    save("growth", rows, sys.argv[1:])
    return int(any(row.wrong or not row.hits for row in rows))


if __name__ == "__main__":
    sys.exit(main())
