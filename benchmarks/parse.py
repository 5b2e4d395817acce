"""Parse: compiled core, its twin and the standard library on the same hits.

`python -m benchmarks.parse [rounds]`. `parse_qsl`, `yarl` and `fast-query-parsers` (Rust) do less: they make
texts only, no numbers, no items, no objects. Right is a hit of which core and twin make the same event.
"""

import sys
from pathlib import Path
from urllib.parse import parse_qsl

from fast_query_parsers import parse_query_string
from yarl import URL

from benchmarks.hits import ADDRESS, HEADERS, MICROS, make_hits, page_view, purchase
from benchmarks.interleaved import Contender, compare, rounds_asked
from sgtm._fast.collect import add_request_data, parse_collect

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from reference import collect as twin


def complete(query: bytes) -> None:
    """Parse and add what the server knows, as a hit on its way does."""
    add_request_data(parse_collect(query, b""), HEADERS, ADDRESS, MICROS)


CONTENDERS = [
    Contender("parse_qsl", lambda query: dict(parse_qsl(query.decode(), keep_blank_values=True))),
    Contender("yarl", lambda query: dict(URL.build(query_string=query.decode(), encoded=True).query)),
    Contender("fast-query-parsers", lambda query: dict(parse_query_string(query, "&"))),
    Contender("twin", lambda query: twin.parse_collect(query, b"")),
    Contender("fast", lambda query: parse_collect(query, b"")),
    Contender("fast + request data", complete),
]


def is_right(query: bytes) -> bool:
    """Same event, same order, same types."""
    return repr(parse_collect(query, b"")) == repr(twin.parse_collect(query, b""))


def main() -> None:
    """A table for each shape of hit."""
    for shape in (purchase, page_view):
        hits = make_hits(500, shape=shape)
        size = sum(map(len, hits)) // len(hits)
        title = f"parse {shape.__name__}: {size} bytes, {hits[0].count(b'&') + 1} parameters"
        compare(title, CONTENDERS, hits, [is_right(hit) for hit in hits], rounds_asked())


if __name__ == "__main__":
    main()
