"""Requests of the ten classes that tell HTTP parsers apart, and mutants of them.

SPEC: reliability 2.2. Written from its table, whose examples come from llhttp's own suite, Http11Probe,
http-desync-guardian, h1spec, HTTP Garden and PortSwigger's list. PLAIN is what the edge may answer itself;
of OTHER it may answer nothing of the first request. Each is one write of a client, under the number of its
class and the reason why it is there, and may hold more than one request.
"""

from collections.abc import Iterator

from byte_mutants import byte_mutants
from http_seeds import codings, hosts, lengths, lines, streams

OTHER = lengths.OTHER | codings.OTHER | lines.OTHER | hosts.OTHER | streams.OTHER
PLAIN = lengths.PLAIN | lines.PLAIN | hosts.PLAIN | streams.PLAIN
CLASSES = {
    1: "two lengths",
    2: "numbers",
    3: "how a coding is written",
    4: "how chunks are written",
    5: "line ends",
    6: "Host and target",
    7: "the first line",
    8: "boundaries in time",
    9: "size and cost",
    10: "meaning",
}
SEEDS = [*PLAIN.values(), *OTHER.values()]

_MARKS = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"0", b"Content-Length: 4\r\n", b"Host: b\r\n", b",",
    b"\x7f", b"\xff", b"Transfer-Encoding: chunked\r\n", b"GET / HTTP/1.1\r\n", b"\r\n\r\n", b"_", b"#",
    b"Connection: close\r\n", b"?",
]  # fmt: skip


def of_class(number: int) -> dict[str, bytes]:
    """Its seeds, by reason."""
    return {reason: text for reason, text in (PLAIN | OTHER).items() if reason.split()[0] == str(number)}


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """Seeds that were changed by chance. The same for the same seed."""
    small = [text for text in SEEDS if len(text) < 2_000]
    return byte_mutants(small, _MARKS, count, seed, line_end=b"\r\n")
