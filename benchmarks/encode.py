"""Encode: compiled core, its twin and the standard library on the same events.

`python -m benchmarks.encode [rounds]`. `urlencode` does less: it gets names and texts, already flat and in
order. Right is an event that all three write in the same bytes, and that is parsed from them again.
"""

import sys
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode

from benchmarks.hits import make_hits, page_view, purchase, request_of
from benchmarks.interleaved import Contender, compare, rounds_asked
from sgtm._fast.collect import parse_collect
from sgtm._fast.encode import encode_query
from sgtm.event import Event, make_event
from sgtm.tags.ga4 import Parameters, build

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from reference import encode as twin

PARAMETERS = Parameters()

Sample = tuple[Event, list[tuple[str, str]]]
"""An event, and the parameters of its hit as `urlencode` wants them."""


def by_urlencode(sample: Sample) -> str:
    """Flat pairs to a query string, escaped as in a browser."""
    return urlencode(sample[1], quote_via=quote, safe="-_.!~*'()")


CONTENDERS = [
    Contender("urlencode", by_urlencode),
    Contender("twin", lambda sample: twin.encode_query(sample[0].data)),
    Contender("fast", lambda sample: encode_query(sample[0].data)),
    Contender("ga4 tag", lambda sample: build(sample[0], PARAMETERS)),
]


def make_sample(hit: bytes) -> Sample:
    """The event of a hit without what is not sent on, and its parameters in the order of our encoder."""
    (data,) = parse_collect(hit, b"")
    sent = {k: v for k, v in data.items() if not k.startswith("x-sst-") and k != "x-ga-mp2-richsstsse"}
    pairs = parse_qsl(encode_query(sent).decode(), keep_blank_values=True)
    return make_event(sent, request_of(hit), "GA4", 0), pairs


def is_right(sample: Sample) -> bool:
    """Same bytes from all three, and the way back gives the same event."""
    encoded = encode_query(sample[0].data)
    is_same = encoded == twin.encode_query(sample[0].data) == by_urlencode(sample).encode()
    return is_same and parse_collect(encoded, b"") == [sample[0].data]


def main() -> None:
    """A table for each shape of event."""
    for shape in (purchase, page_view):
        samples = [make_sample(hit) for hit in make_hits(500, shape=shape)]
        size = sum(len(encode_query(event.data)) for event, _ in samples) // len(samples)
        title = f"encode {shape.__name__}: {size} bytes, {len(samples[0][1])} parameters"
        compare(title, CONTENDERS, samples, [is_right(one) for one in samples], rounds_asked())


if __name__ == "__main__":
    main()
