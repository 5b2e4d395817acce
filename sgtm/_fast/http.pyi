"""HTTP/1.1 at the edge: the head of a plain request, and a plain answer.

SPEC: reliability 2.2 (ten classes), design "One port, two ways through it". Plain is the strict subset
that every parser reads alike. Whatever is not plain is not refused here but left to whoever can judge it.
"""

from typing import Final, Literal, final

WAIT: Final = 0
"""All bytes so far may begin a plain request, and its head is not complete."""
LEND: Final = 1
"""What stands here is no plain request, whatever may follow."""

@final
class PlainRequest:
    """The head of a plain request."""

    @property
    def method(self) -> Literal["GET", "POST"]: ...
    @property
    def path(self) -> str:
        """What stands before the first `?` of the target, as on the wire: ASCII, begins with `/`."""
    @property
    def query(self) -> bytes:
        """What stands behind it."""
    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """In wire order, names in lower case."""
    @property
    def host(self) -> bytes:
        """Value of the one Host."""
    @property
    def head_bytes(self) -> int:
        """Length of the head with its empty line."""
    @property
    def body_bytes(self) -> int:
        """What Content-Length says, 0 without one: at most 9,999,999."""
    @property
    def target_bytes(self) -> int:
        """Length of the target."""
    @property
    def closes(self) -> bool:
        """The requester wants no other answer on this connection."""

def scan_head(data: bytes, start: int, bounds: tuple[int, int, int, int]) -> PlainRequest | Literal[0, 1]:
    """The head that begins at `start`, or WAIT, or LEND.

    `bounds`: the most bytes of the target, of one header (name and value), of all headers together, and
    how many headers there may be. Beyond them: LEND, as soon as it shows.

    Plain: `GET` or `POST`, one space, a target of visible ASCII that begins with `/` and has no `#`, one
    space, `HTTP/1.1`; lines end with CR LF; names of at most 64 token characters, a colon right behind, at
    most one space, a value of visible ASCII and spaces that neither begins nor ends with one; exactly one
    Host of letters, digits and `.-_:[]`; at most one Content-Length of 1 to 7 digits, no zero before others,
    with GET only 0; at most one Connection, `close` or `keep-alive`; nothing twice that may come once (RFC
    9110); no Transfer-Encoding, Upgrade, Expect, Content-Encoding, Trailer, TE, Proxy-Connection,
    HTTP2-Settings or Sec-WebSocket header."""

def write_answer(
    status_line: str,
    headers: tuple[tuple[str, str], ...],
    date: str,
    body: bytes | None,
    connection: str,
) -> bytes | None:
    """An answer as bytes, or None where a header holds a control character other than a tab.

    `status_line` is `HTTP/1.1 200 OK` without its line end. Of `headers` those that frame the message or
    belong to the connection (Date, Content-Length, Connection, Keep-Alive, Transfer-Encoding, Upgrade) are
    left out. Then come Date, Content-Length unless `body` is None (a status that has no body), and
    Connection unless `connection` is empty."""
