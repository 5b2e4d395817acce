"""What reads bytes of strangers: functions of arbitrary bytes that return, or have found a fault.

SPEC: reliability 2.3. A fault is an exception that the reader does not promise, another answer than its
twin's or oracle's, a run without end, memory without bound. `guided.py` drives them by coverage (`make
fuzz`), `test_targets.py` with seeds, faults of the past and mutants (CI).
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fuzz import file_readers, hit_readers, http_readers, seeds

REGRESSIONS = Path(__file__).parent / "regressions"
"""Inputs that once showed a fault: a folder for each target. They stay for ever."""


class Target(NamedTuple):
    """One reader."""

    check: Callable[[bytes], None]
    """Read these bytes; raises for a fault."""
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...] = ()
    """Pieces of its language, for mutants."""

    @property
    def name(self) -> str:
        return self.check.__name__

    def corpus(self) -> list[bytes]:
        """Its seeds, and what it failed at in the past."""
        return self.seeds() + [path.read_bytes() for path in sorted((REGRESSIONS / self.name).glob("*"))]


_HTTP_WORDS = (
    b"\r\n", b"\r\n\r\n", b" HTTP/1.1\r\n", b"Host: a\r\n", b"Content-Length: 4\r\n", b"GET /", b"POST /",
    b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"\0",
    b"\xff", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"/g/collect?", b"\n",
    b"\r", b"\t",
)  # fmt: skip
_HIT_WORDS = (
    b"&", b"=", b"%", b"~", b"~~", b"en=", b"&ep.", b"&epn.", b"&up.", b"&pr1=", b"%25", b"%C3", b".", b"|",
    b"&ep.user_data.a.0.b=", b"\r\n", b"&gcd=13l3l3l3l1", b"&uafvl=", b"&_eu=", b"&gcs=G1", b"\0", b"+",
)  # fmt: skip
_CODE_WORDS = (
    b"(", b")", b"{", b"}", b"[", b"]", b"=>", b" ? ", b" : ", b"function", b"const a = ", b"if (",
    b"else ", b"for (const a of b)", b"while (", b"return ", b"try {", b"} catch (e) {", b"} finally {",
    b"switch (", b"case 1:", b"=", b"+=", b"++", b"--", b"\\u0061", b"\\x", b"/*", b"*/", b"//", b"'", b'"',
    b"`", b".", b",", b"...", b"=== ", b"&&", b"||", b">>>", b"typeof ", b"require('JSON')", b"1e9",
    b"0x1f", b"\xe2\x80\xa8",
)  # fmt: skip
_FILE_WORDS = (
    b"___INFO___\n", b"___TESTS___\n", b"___TEMPLATE_PARAMETERS___\n", b"___SERVER_PERMISSIONS___\n", b"[",
    b"]", b"{", b"}", b'"type": "GROUP"', b'"subParams": ', b"scenarios:\n", b"- name: a\n",
    b"  code: |-\n", b"&a ", b"*a", b"<<: ", b"null", b"true", b"1e999", b"{{Event Name}}", b"${A}",
    b"!!python", b"---\n", b"\t", b": ", b'"parameter": ', b'"type": "LIST"', b'"type": "MAP"', b'"key": ',
    b'"value": ', b'"template"', b'""', b"-1",
)  # fmt: skip

TARGETS = {
    target.name: target
    for target in (
        Target(http_readers.head, seeds.requests, _HTTP_WORDS),
        Target(http_readers.listener, seeds.requests, _HTTP_WORDS),
        Target(http_readers.answer, seeds.answers, _HTTP_WORDS),
        Target(http_readers.proxy_header, seeds.proxy_headers, (b"PROXY TCP4 ", b"\r\n", b"::1", b" ")),
        Target(hit_readers.hit, seeds.hits, _HIT_WORDS),
        Target(
            hit_readers.event,
            seeds.events,
            (b'"items": ', b'"user_data": ', b"{", b"}", b"[", b"]", b"null", b"1e999"),
        ),
        Target(hit_readers.cookie, seeds.cookies, (b"=", b";", b" ", b"\t", b"FPID", b'"')),
        Target(
            hit_readers.identifier, seeds.identifiers, (b"@", b".", b" ", "İ".encode(), "é".encode(), b"\xff")
        ),
        Target(
            hit_readers.body,
            seeds.bodies,
            (b"{", b"[", b"&", b"=", b"<a>", b"</a>", b"<!DOCTYPE", b"\n", b"a[b][]="),
        ),
        Target(file_readers.script, seeds.scripts, _CODE_WORDS),
        Target(file_readers.template, seeds.templates, _FILE_WORDS),
        Target(file_readers.container, seeds.containers, _FILE_WORDS),
        Target(file_readers.export, seeds.exports, _FILE_WORDS),
    )
}
