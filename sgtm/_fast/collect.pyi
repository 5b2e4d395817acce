"""GA4 collect hits: query string and body lines to event data, in one pass.

SPEC: ga4-protocol 1 (the wire), 2 (event data), 8 and 11; google-runtime 6 and 8a. keys.tsv beside this
file lists every name, its key and its type. No bytes make these functions raise.
"""

from typing import Any

def parse_collect(query: bytes, body: bytes) -> list[dict[str, Any]]:
    """Event data of every event of one `/g/collect` request, without what the server adds.

    `query` is the part of the target behind `?`, `body` the body of a POST (empty for GET), both as they
    came. One event per body line (`\\n` or `\\r\\n`, blank lines ignored, at most 100): the keys of the line
    first, then those of the query that the line did not set. Without a body the query is the event. Lines
    that name no event (`en`) make one event together with the query if that has one, and are ignored beside
    lines that have. No `en` anywhere, or an empty one: no event, an empty list (the GA4 client answers 400).

    Texts are str; invalid UTF-8 becomes U+FFFD, broken escapes stay as written. Numbers are int (exact, of
    any size up to 40 digits) or float; number text that is none stays text, but for `_et`, which is dropped.
    """

def add_request_data(
    events: list[dict[str, Any]],
    headers: tuple[tuple[bytes, bytes], ...],
    remote_address: str,
    received_micros: int,
) -> None:
    """Add, in place, what the server knows (SPEC: ga4-protocol 2.2, 2.3, 2.5, 11.3).

    `x-sst-system_properties` gets `consent` and `request_start_time_ms` (unix time, milliseconds) as its
    last members; then come `ip_override` (always `remote_address`), `user_agent` (unless an event parameter
    of that name came) and `client_hints` of the headers: alone if the hit has none, else only its `brands`.
    Header names are in lower case; the first of several counts.
    """

def find_parameter(text: bytes, name: bytes) -> str | None:
    """Decoded value of the first parameter `name` in a query string or in the lines of a body.

    None if there is none, "" if it has no value. The name is compared as it is written."""
