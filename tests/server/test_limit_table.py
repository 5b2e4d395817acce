"""The table of limits says what the server does."""

import re
from pathlib import Path

from msgspec.structs import fields

import sgtm.server
from sgtm.observability.names import METRICS
from sgtm.server import limits
from sgtm.server.limit_table import CLOSED, DROPPED, LIMITS, REFUSED
from sgtm.settings import Settings

LIMIT_SETTINGS = re.compile(
    r".*_(bytes|timeout_s|rate|rate_bytes|percent|ratio|beginnings|per_address|requests|age_s|burst|mode)$"
)
NO_LIMITS_OF_REQUESTS = {
    "outbox",
    "context",
    "script",
    "worker",
    "drain",
    "disk",
    "archive",
    "forwarded",
    "dead",
    "hit",
    "letter",
    "log",
    "look",
    "preview",
    "template",
}


def test_every_setting_of_a_limit_is_in_the_table() -> None:
    told = {name for limit in LIMITS for name in limit.settings}
    assert told <= {field.name for field in fields(Settings)}
    wanted = {
        field.name
        for field in fields(Settings)
        if LIMIT_SETTINGS.match(field.name) and field.name.partition("_")[0] not in NO_LIMITS_OF_REQUESTS
    }
    assert wanted <= told


def test_every_limit_is_counted_where_it_says() -> None:
    source = "".join(path.read_text() for path in Path(sgtm.server.__path__[0]).parent.rglob("*.py"))
    constants = {reason for _, reason in _refusals()}
    for limit in LIMITS:
        assert limit.counter == "" or limit.counter in METRICS
        # texts of limits.py stand there alone; others once in the table, once where it happens
        least = 1 if limit.label in constants else 2
        assert limit.label == "" or source.count(f'"{limit.label}"') >= least, limit.label


def test_every_refusal_of_size_time_and_number_is_in_the_table() -> None:
    told = {(limit.status, limit.label) for limit in LIMITS if limit.counter == REFUSED}
    assert {one for one in _refusals() if one[0] in (408, 413, 414, 429, 431, 503)} <= told
    assert {limit.status for limit in LIMITS if limit.counter == DROPPED} == {204}
    assert {limit.status for limit in LIMITS if limit.counter == CLOSED} == {0}


def _refusals() -> set[tuple[int, str]]:
    """(status, reason) of every refusal that limits.py knows."""
    values = [value for name, value in vars(limits).items() if name.isupper() and isinstance(value, tuple)]
    return {value for value in values if isinstance(value[0], int)}
