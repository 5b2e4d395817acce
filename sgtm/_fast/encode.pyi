"""Event data -> GA4 hit: the reverse of `collect`.

SPEC: ga4-protocol 6 (what the GA4 tag sends on), google-runtime 6.1 (order), 6.2 (values), 6.3 (bit
sets), 6.4 (items), 6.5 (when the event moves into the body). The table of names is keys.tsv.

Both functions take event data under Google's keys and never raise for what JSON can hold, nor for
bytes, NaN, huge whole numbers, lone surrogates (they become U+FFFD), `undefined` or any other object
(left out). Keys that are no text are left out.

- Known keys go under their wire names; booleans are `1` and `0` there, None is empty.
- `x-ga-mp2-foo` is `foo`, members of `x-ga-system_properties` are `_x`, `eu` as a bit set.
- `x-ga-mp2-user_properties` are `up.` and `upn.`, every other key is `ep.` or `epn.`: numbers as
  JavaScript writes them (whole ones with all their digits, also beyond 2**53), `true`, `false`, None
  as empty text, lists joined by commas, objects as `[object Object]`.
- `user_data` is flattened: `ep.user_data.address.0.city`.
- `items` are `pr1` to `pr200`, with at most 27 custom parameters each.
- `client_hints` are `ua*`, `event_location` is `ur`, `ip_override` is `_uip`.
- Not sent on: `user_agent` (it is a header), `x-sst-*`, `x-ga-mp2-richsstsse`, `x-ga-js_client_id`,
  and other `x-ga-*` and `x-ads-*` keys without a wire name. An internal key never becomes an event
  parameter, nor another parameter's name: `x-ga-mp2-tid` is left out.
- Left out because the wire cannot say it: values nested deeper than 16, empty lists and objects in
  user data, items without any value.
"""

from typing import Any

def encode_query(data: dict[str, Any]) -> bytes:
    """The whole hit as one query string, ASCII only, without `?`."""

def encode_request(data: dict[str, Any], max_query: int) -> tuple[bytes, bytes]:
    """(query, body): all in the query and an empty body if the query has at most `max_query` bytes;
    otherwise the event block (from `en=` on) is the body, one line without a line break, and the
    rest, `tfd` included, the query (SPEC: google-runtime 6.5)."""
