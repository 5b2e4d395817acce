"""HTTP/1.1 to vendors: a plain request, and a plain answer.

SPEC: reliability 3, rules 7 and 8. Plain is a strict subset of what `delivery/request_writer.py` writes and
`delivery/answer_reader.py` reads, to the same result; None: it is not plain, ask them.
"""

def read_answer(data: bytes) -> tuple[int, tuple[tuple[str, str], ...], bytes, bool] | None:
    """(status, headers, body, whether the connection may be used again) of an answer to anything but HEAD,
    where `data` is all of it and nothing else.

    Plain: `HTTP/1.1`, one space, a status from 200 to 599 but 304, one space, a reason of visible ASCII and
    spaces; lines end with CR LF; at most 100 names of at most 64 token characters, a colon right behind, at
    most one space, a value of visible ASCII and spaces that neither begins nor ends with one; exactly one
    Content-Length of 1 to 7 digits, no zero before others, that says how many bytes follow, at most 1 MB
    (204: 0, or none at all); at most one Connection, `close` or `keep-alive`; no Transfer-Encoding, Upgrade,
    Trailer, TE or Proxy-Connection. Names are given in lower case."""

def authority_size(url: str) -> int:
    """How much of a URL stands before its path, `https://vendor.example`; 0 where it is not plain: visible
    ASCII without `#`, a scheme, `://`, anything but `/` and `?`, `/`. Whether that names an origin is not
    judged."""

def write_request(
    method: str, url: str, target: int, host: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> bytes | None:
    """All of a request, as `request_bytes` writes it.

    `target` is where the path begins in `url`, `host` the value of the Host header, which is not judged.
    Plain: `POST` or `GET`; a target of visible ASCII; at most 100 headers, names of at most 64 token
    characters that are not the sender's own (Host, Content-Length, `Proxy-`...), values of visible ASCII and
    spaces."""
