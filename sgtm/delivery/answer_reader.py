"""Read a vendor's answer: llhttp (through httptools) finds its parts, the limits are ours.

What is plain and all there is read before by `_fast/vendor_http.pyx`, to the same result.

An answer has one meaning or is a BadAnswer. Whether its connection may be used again is said beside it:
only after a complete message with nothing behind it. SPEC: reliability 3, rule 8.
"""

from functools import lru_cache

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from sgtm.delivery.errors import BadAnswer
from sgtm.delivery.http_sender import MAX_KEPT_BYTES, MAX_READ_BYTES
from sgtm.messages import VendorAnswer

MAX_HEAD_BYTES = 32_768
MAX_HEADERS = 100
"""Of one answer, trailers counted in."""
MAX_INTERIM = 5
"""Answers of 1xx before the real one."""
_BODYLESS = (204, 304)


class _Stop(Exception):
    """Ends the parser's work on a chunk from inside one of its callbacks."""


class AnswerReader:
    """Reads the answers that come over one connection, one after the other: `begin`, then `feed` until it
    says that the answer is complete."""

    __slots__ = (
        "_body",
        "_fault",
        "_has_head",
        "_head_bytes",
        "_headers",
        "_interim",
        "_is_for_head",
        "_kept_bytes",
        "_moved",
        "_needs_end",
        "_pairs",
        "_parser",
        "_size",
        "_status",
        "_tail",
        "_unmoved_bytes",
        "has_begun",
        "is_complete",
        "may_go_on",
    )

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.begin(is_for_head=False)

    def begin(self, *, is_for_head: bool) -> None:
        """A request is about to leave; its answer is next. To HEAD there is no body."""
        self._is_for_head = is_for_head
        self._size = self._interim = self._kept_bytes = self._unmoved_bytes = 0
        self._fault, self._tail = "", b""
        self._body: list[bytes] = []
        self.has_begun = False
        """Whether a byte of the answer came."""
        self.is_complete = False
        self.may_go_on = False
        """Whether the connection is good for another request (once the answer is complete)."""
        self._expect_head()

    def _expect_head(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._pairs: tuple[tuple[str, str], ...] = ()
        self._head_bytes = self._status = 0
        self._has_head = self._needs_end = False

    def feed(self, data: bytes) -> bool:
        """Whether the answer is complete. Raises BadAnswer."""
        self.has_begun = True
        self._size += len(data)
        self._moved = False
        is_proper = self._parse(data)
        if self._is_for_head:
            self._tail = (self._tail + data[-4:])[-4:]
        if self.is_complete:
            self.may_go_on = self.may_go_on and is_proper and self._tail in (b"", b"\r\n\r\n")
        elif not is_proper:
            raise BadAnswer(self._fault or "the answer is not proper HTTP")
        elif self._size > MAX_READ_BYTES:
            self._cut_off()
        elif not self._moved:
            self._count_unmoved(len(data))
        return self.is_complete

    def finish(self) -> bool:
        """The connection has ended in an orderly way: whether that made the answer complete."""
        self.is_complete = self.is_complete or (self._has_head and self._needs_end)
        return self.is_complete

    def answer(self) -> VendorAnswer:
        """The complete one."""
        body = self._body
        return VendorAnswer(self._status, self._pairs, body[0] if len(body) == 1 else b"".join(body))

    def _parse(self, data: bytes) -> bool:
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            return False
        return True

    def _cut_off(self) -> None:
        if not self._has_head:
            raise BadAnswer("the answer has no end of its headers")
        self.is_complete, self.may_go_on = True, False

    def _count_unmoved(self, count: int) -> None:
        """Bytes of a head, of a chunk's extensions or of trailers, which the parser collects."""
        self._unmoved_bytes += count
        if self._unmoved_bytes > MAX_HEAD_BYTES:
            raise BadAnswer("the headers of the answer are too long")

    def _stop(self, fault: str) -> None:
        self._fault = fault
        raise _Stop

    # -- called by the parser ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of an answer, maybe of one that nobody asked for."""
        if self.is_complete:
            raise _Stop

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or, behind the body, a trailer, which is counted and dropped."""
        self._head_bytes += len(name) + len(value) + 4
        self._headers.append((name, value))
        if self._head_bytes > MAX_HEAD_BYTES or len(self._headers) > MAX_HEADERS:
            self._stop("the headers of the answer are too long")

    def on_headers_complete(self) -> None:
        """Judge the head: one version that we speak, one way to find the end."""
        parser = self._parser
        self._status = status = parser.get_status_code()
        if status < 200:
            self._pass_over(status)
            return
        self._has_head = self._moved = True
        self._pairs = pairs = tuple([(_lower(name), _text(value)) for name, value in self._headers])
        lengths = codings = 0
        for name, value in pairs:
            if name == "content-length":
                lengths += 1
            elif name == "transfer-encoding":
                codings += 1 if value.lower() == "chunked" else 2
        if lengths + codings > 1 or parser.get_http_version() not in ("1.1", "1.0"):
            self._stop("the answer has more than one meaning")
        self.may_go_on = parser.should_keep_alive()
        self._needs_end = not lengths and not codings and status not in _BODYLESS
        if self._is_for_head:
            # The parser waits for a body that does not come: the next answer gets another parser.
            self.is_complete = True
            self._parser = HttpResponseParser(self)

    def _pass_over(self, status: int) -> None:
        self._interim += 1
        if status == 101 or self._interim > MAX_INTERIM:
            self._stop("the answer switches protocols" if status == 101 else "too many answers of 1xx")

    def on_chunk_header(self) -> None:
        """The size of a chunk, which a parser that has a body to wait for reads in silence."""
        if self.is_complete:
            raise _Stop

    def on_body(self, data: bytes) -> None:
        """A part of the body; the first 1 MB is kept."""
        if self.is_complete:
            raise _Stop
        self._moved = True
        if self._kept_bytes < MAX_KEPT_BYTES:
            kept = data[: MAX_KEPT_BYTES - self._kept_bytes]
            self._kept_bytes += len(kept)
            self._body.append(kept)

    def on_message_complete(self) -> None:
        """The end of an answer, unless it was one of 1xx."""
        if self._has_head:
            self.is_complete = True
        else:
            self._expect_head()


@lru_cache(1_024)
def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _text(value: bytes) -> str:
    return value.strip(b" \t").decode("utf-8", "replace")
