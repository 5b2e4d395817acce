"""Lines about requests: all, a share or none, and what is left out is counted (SPEC: R227, R228)."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from cases import make_request
from corridor import claim, make_client, make_container, make_tag, send_one
from doubles import HeldLanes, NotingOutbox
from msgspec.structs import replace

from sgtm.hit import Again
from sgtm.messages import DONE, Answer, Record
from sgtm.observability.logs import LINES_PER_SECOND, REQUESTS, RateLimit
from sgtm.observability.metrics import Counters
from sgtm.observability.request_log import RequestLog
from sgtm.observability.trace import Tracers, request_id
from sgtm.pipeline import Pipeline

OWN_KEYS = {*vars(logging.makeLogRecord({})), "message"}
REQUEST = make_request({"target": "/c?v=2"})


def pipeline(log: RequestLog, *, answer: Answer = Answer(204), build: Any = send_one) -> Pipeline:  # noqa: B008
    container = make_container([make_client(lambda _: claim("view", answer=answer))], [make_tag(build)])
    container = replace(container, candidates={"/c": ()})
    return Pipeline(container, NotingOutbox(), HeldLanes(DONE), Counters(), tracers=Tracers(log))


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    """What is logged about requests."""
    handler, log = Kept(), logging.getLogger(REQUESTS)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler.records
    log.removeHandler(handler)
    log.setLevel(level)


class Kept(logging.Handler):
    """Keeps lines."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def keys(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in OWN_KEYS}


def test_a_line_has_stable_keys_and_the_harmless_part_of_the_request(lines: list[logging.LogRecord]) -> None:
    pipeline(RequestLog(1.0)).run(REQUEST)
    (line,) = lines
    said = keys(line)
    assert said.pop("duration_ms") >= 0
    assert (line.getMessage(), said) == (
        "request",
        {
            "request": request_id(REQUEST),
            "method": "GET",
            "path": "/c",
            "client": "client",
            "events": ["view"],
            "status": 204,
        },
    )


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        ({"path": "/u/anna@example.com"}, "path", ""),
        ({"method": "ANNA"}, "method", "_OTHER"),
    ],
)
def test_what_a_requester_may_choose_freely_is_not_told(
    changes: dict[str, str], key: str, expected: str, lines: list[logging.LogRecord]
) -> None:
    pipeline(RequestLog(1.0)).run(replace(REQUEST, **changes))
    assert keys(lines[0])[key] == expected


def test_the_share_chooses_by_the_chance_of_the_request_and_counts_the_rest(
    lines: list[logging.LogRecord],
) -> None:
    log = RequestLog(0.25)
    running = pipeline(log)
    for number in range(8):
        running.run(replace(REQUEST, seed=number << 61))
    assert [keys(line).get("left_out", 0) for line in lines] == [0, 0]
    assert log.samples()[0].value == 6
    log.share = 1.0
    running.run(replace(REQUEST, seed=(1 << 64) - 1))
    assert keys(lines[-1])["left_out"] == 6
    log.share = 0.0
    running.run(replace(REQUEST, seed=0))
    assert (len(lines), log.samples()[0].value) == (3, 6)


async def test_a_record_that_runs_again_is_told_of_if_its_request_was(
    lines: list[logging.LogRecord],
) -> None:
    log = RequestLog(0.5)
    running = pipeline(log)
    chosen, other = replace(REQUEST, seed=1), replace(REQUEST, seed=(1 << 64) - 1)
    for request in (chosen, other):
        await running.run_again(Record(request, "v1"), Again(0))
    (line,) = lines
    assert (keys(line)["request"], keys(line)["again"]) == (request_id(chosen), True)
    assert log.samples()[0].value == 0  # it is no request


def test_a_tag_that_fails_or_is_silent_has_a_line_and_one_that_sends_has_none(
    lines: list[logging.LogRecord],
) -> None:
    pipeline(RequestLog(1.0), build=lambda event: []).run(REQUEST)
    pipeline(RequestLog(1.0), build=lambda event: 1 / 0).run(REQUEST)
    said = [keys(line) for line in lines if line.getMessage() == "tag sends nothing"]
    assert [(one["tag"], one["event"], one["reason"]) for one in said] == [
        ("tag", "view", "it built no request"),
        ("tag", "view", "raised ZeroDivisionError"),
    ]


def test_an_answer_that_is_our_fault_has_a_line_whatever_the_share(caplog: pytest.LogCaptureFixture) -> None:
    # SPEC: R228: errors always
    pipeline(RequestLog(0.0), answer=Answer(503)).run(REQUEST)
    pipeline(RequestLog(0.0), answer=Answer(404)).run(REQUEST)
    (line,) = caplog.records
    assert line.getMessage() == "answered with an error"
    assert (keys(line)["status"], keys(line)["request"]) == (503, request_id(REQUEST))


def test_an_id_says_nothing_of_the_chance_of_its_request() -> None:
    seed = 0xA1B2C3D4E5F60718
    assert f"{seed:x}"[:4] not in request_id(replace(REQUEST, seed=seed))
    assert len({request_id(replace(REQUEST, seed=seed)) for seed in range(50)}) == 50
    later = replace(REQUEST, received_micros=REQUEST.received_micros + 1)
    assert request_id(later) != request_id(REQUEST)


def test_lines_of_requests_have_their_share_instead_of_the_limit() -> None:
    limit = RateLimit(lambda _: None, lambda: 1.0)
    for name, passes in ((REQUESTS, 100), ("sgtm.x", LINES_PER_SECOND)):
        record = logging.makeLogRecord({"name": name, "msg": "request"})
        assert sum(limit.filter(record) for _ in range(100)) == passes
