"""Every limit of the server, once: what sets it, what is said beyond it, how it is counted, and why.

The reference page is made from this; a test holds it against the settings and against what the server
says. SPEC: reliability 2.4, 5.
"""

from typing import NamedTuple

from sgtm.server import limits

REFUSED, DROPPED = "sgtm_requests_refused_total", "sgtm_requests_dropped_total"
CLOSED = "sgtm_connections_closed_total"


class Limit(NamedTuple):
    """One limit. `settings`: fields of Settings, none where it cannot be set; `status` 0: no answer, the
    connection is closed; `counter` and `label`: where it is counted."""

    what: str
    settings: tuple[str, ...]
    status: int
    counter: str
    label: str
    why: str


def _refused(what: str, settings: tuple[str, ...], said: tuple[int, str], why: str) -> Limit:
    return Limit(what, settings, said[0], REFUSED, said[1], why)


def _closed(what: str, settings: tuple[str, ...], label: str, why: str) -> Limit:
    return Limit(what, settings, 0, CLOSED, label, why)


LIMITS = (
    _closed("connections of a worker", ("connections",), "worker full", "each holds memory and a descriptor"),
    _closed(
        "connections of one address",
        ("connections_per_address",),
        "address full",
        "one address shall not fill the worker",
    ),
    _closed(
        "connections before HTTP",
        ("connection_beginnings",),
        "beginnings full",
        "a handshake is the dearest thing that a stranger can ask for",
    ),
    _closed(
        "time for a TLS handshake", ("tls_handshake_timeout_s",), "slow handshake", "nobody sends it slowly"
    ),
    _closed("age of a connection", ("connection_age_s",), "age", "load is shared anew, old certificates go"),
    _closed("requests of a connection", ("connection_requests",), "requests", "the same"),
    _closed(
        "time in which an answer is not read",
        ("write_timeout_s",),
        "nobody reads",
        "the answer takes memory until it is read",
    ),
    Limit(
        "idle connection",
        ("keepalive_s",),
        0,
        "",
        "",
        "longer than your balancer's",
    ),
    Limit("requests that wait on a connection", (), 0, "", "", "32, then nothing more is read from it"),
    _refused(
        "request target",
        ("request_line_bytes", "collect_line_bytes"),
        limits.LONG_TARGET,
        "hits in the URL grow long; elsewhere nothing does",
    ),
    _refused(
        "headers: one, all, how many",
        ("header_bytes", "headers_bytes", "header_count"),
        limits.LARGE_HEADERS,
        "cookies are large, but no browser sends more",
    ),
    _refused("time for a head", ("head_timeout_s",), limits.SLOW_HEAD, "in all, not between two bytes"),
    _refused(
        "body",
        ("body_bytes", "collect_body_bytes"),
        limits.LARGE_BODY,
        "a beacon has 64 KiB at most; webhooks have more",
    ),
    _refused("time for a body", ("body_timeout_s",), limits.SLOW_BODY, "more for a larger one"),
    _refused(
        "rate of a body",
        ("body_grace_s", "body_rate_bytes"),
        limits.LOW_BODY_RATE,
        "nobody stays so slow",
    ),
    _refused(
        "packed body, unpacked",
        ("unpacked_bytes",),
        limits.LARGE_UNPACKED,
        "a bomb ends half-way",
    ),
    _refused("packed body, ratio", ("unpacked_ratio",), limits.HIGH_RATIO, "no honest body packs so well"),
    Limit(
        "measurement id that is not listed",
        (),
        204,
        DROPPED,
        "measurement id not listed",
        "`measurement_ids` of the client; whoever floods learns nothing",
    ),
    Limit(
        "script id that is not listed", (), 400, REFUSED, "script id not listed", "the upstream is not asked"
    ),
    Limit("origin that is not listed", (), 403, REFUSED, "origin", "`allowed_origins` of the client"),
    Limit(
        "rates of hits",
        ("collect_rate", "client_id_rate", "measurement_id_rate", "path_rate", "rate_burst", "rate_mode"),
        204,
        DROPPED,
        limits.TOO_MANY_REQUESTS[1],
        "answered as if taken; begin with `observe` and look at sgtm_rates_exceeded_total",
    ),
    _refused(
        "rates of other requests",
        ("request_rate", "measurement_id_rate", "path_rate", "rate_burst", "rate_mode"),
        limits.TOO_MANY_REQUESTS,
        "with Retry-After: senders wait",
    ),
    _refused(
        "memory",
        ("memory_bytes", "memory_soft_percent", "memory_hard_percent"),
        limits.SHORT_OF_MEMORY,
        "soft: all but hits of browsers; hard: everything, and not ready; with Retry-After",
    ),
)
