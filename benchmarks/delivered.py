"""Delivered: what each contender sends of a purchase, checked before its time counts.

A known hit goes in, and what arrives at the stand-in for the two vendors is searched for the facts of that
hit: which are carried, which are not. An order without its name, number, value or items is wrong. What came
out is kept in `benchmarks/results/delivered.json`.
"""

import hashlib
from urllib.parse import parse_qs, unquote_plus

from msgspec import Struct

from benchmarks.contenders import Contender
from benchmarks.hits import HEADERS

OWED = {"event", "order", "value", "items"}
"""What a purchase is nothing without."""
EVENT_NAMES = ("purchase", "order complete")
"""GA4's and Meta's word, and walkerOS's own."""


class Row(Struct):
    """What one vendor got of the hit."""

    name: str
    request: str
    """Method and path."""
    carries: str
    lacks: str


def facts_of(query: bytes) -> dict[str, tuple[str, ...]]:
    """What there is to know in a hit of `hits.purchase`, with each text that shows it, in lower case."""
    hit = {name: values[0] for name, values in parse_qs(query.decode()).items()}
    known = {name.decode(): value.decode() for name, value in HEADERS}
    return {
        "event": EVENT_NAMES,
        "order": (hit["ep.transaction_id"].lower(),),
        "value": (hit["epn.value"],),
        "tax": (hit["epn.tax"],),
        "currency": (hit["cu"].lower(),),
        "page": (hit["dl"].lower(),),
        "client id": (hit["cid"], hashlib.sha256(hit["cid"].encode()).hexdigest()),
        "_fbp": (known["cookie"].partition("_fbp=")[2],),
        "user agent": (known["user-agent"].lower(),),
        "address": ("127.0.0.1",),
    }


def rows_of(contender: Contender, query: bytes) -> list[Row]:
    """What its vendor got last, which came of that hit: one row for each request. Counts as wrong what
    lacks a part of the purchase."""
    assert contender.vendor is not None
    latest = contender.vendor.latest()
    rows = []
    for request in (latest.other, latest.event):
        line = request.partition("\r\n")[0]
        text = _searchable(request)
        carried = {name: any(one in text for one in shown) for name, shown in facts_of(query).items()}
        carried["items"] = all(item in text for item in _items_of(query))
        lacks = [name for name, is_carried in carried.items() if not is_carried]
        contender.wrong += bool(OWED.intersection(lacks))
        carries = [name for name in carried if name not in lacks]
        path = line.partition("?")[0].removesuffix(" HTTP/1.1")
        rows.append(Row(contender.name, path, ", ".join(carries), ", ".join(lacks)))
    return rows


def _searchable(request: str) -> str:
    """Target and body in plain words, with the header of the user agent; `Host` says nothing of the hit."""
    head, _, body = request.partition("\r\n\r\n")
    told = [line for line in head.split("\r\n")[1:] if line.lower().startswith("user-agent:")]
    return unquote_plus("\n".join([head.partition("\r\n")[0], *told, body])).lower()


def _items_of(query: bytes) -> list[str]:
    """The numbers of its products."""
    hit = parse_qs(query.decode())
    return [hit[name][0].partition("~")[0].removeprefix("id").lower() for name in ("pr1", "pr2", "pr3")]


def report(rows: list[Row]) -> None:
    """What they send, in lines."""
    for row in rows:
        lacks = f"; not {row.lacks}" if row.lacks else ""
        print(f"{row.name:28} {row.request:34} carries {row.carries}{lacks}")
