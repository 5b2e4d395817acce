"""Log lines: machine-readable, bounded, without personal data."""

import io
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sgtm.observability.logs import (
    LINES_PER_SECOND,
    MAX_LINE_BYTES,
    MAX_MESSAGES,
    WAITING_LINES,
    JsonFormatter,
    LineHandler,
    RateLimit,
    configure,
)


class Stream(io.StringIO):
    """A stream that can be read once its handler has written everything."""

    def getvalue(self) -> str:
        logging.getLogger().handlers[0].close()
        return super().getvalue()


@pytest.fixture
def stream() -> Iterator[Stream]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("asyncio", "aiohttp")}
    yield Stream()
    root.handlers[:], root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(stream: Stream) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_the_keys_of_extra(stream: Stream) -> None:
    configure("info", "json", stream)
    logging.getLogger("sgtm.test").info("client raised", extra={"client": "GA4", "count": 2})
    (line,) = lines(stream)
    assert line.pop("ts").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "sgtm.test",
        "message": "client raised",
        "see": "SG-S012",
        "client": "GA4",
        "count": 2,
    }


def test_less_severe_lines_are_left_out(stream: Stream) -> None:
    configure("warning", "json", stream)
    logging.getLogger("sgtm.test").info("quiet")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("style", ["json", "text"])
def test_control_characters_cannot_make_a_second_line(style: str, stream: Stream) -> None:
    # SPEC: reliability 6, logs; reliability 5 rule 7 (ANSI escapes, RTL marks are inert)
    configure("info", style, stream)
    logging.getLogger("sgtm.test").info("path", extra={"path": "a\r\nINFO forged\x1b[31m\u2028\u202e\x00"})
    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().rstrip("\n").isprintable()


def test_an_exception_is_told_by_class_and_place_never_by_its_text(stream: Stream) -> None:
    configure("info", "json", stream)
    try:
        int("anna@example.com")
    except ValueError:
        logging.getLogger("sgtm.test").exception("tag failed")
    (line,) = lines(stream)
    assert line["error"] == "ValueError"
    assert "test_logs.py" in line["at"]
    assert "anna" not in stream.getvalue()


def test_a_long_line_is_cut_and_stays_json(stream: Stream) -> None:
    configure("info", "json", stream)
    logging.getLogger("sgtm.test").info("long", extra={"text": "ä" * 20_000})
    assert len(stream.getvalue().encode()) <= MAX_LINE_BYTES
    assert lines(stream)[0]["cut"] > MAX_LINE_BYTES


def test_a_value_that_is_no_json_is_named_by_its_type() -> None:
    record = logging.makeLogRecord({"msg": "x", "thing": object()})
    assert json.loads(JsonFormatter().format(record))["thing"] == "<object>"


def test_a_message_is_written_ten_times_a_second_then_counted() -> None:
    # SPEC: reliability 6: rate limit per message key (10/s, then a count)
    told: list[logging.LogRecord] = []
    now = 5.0
    limit = RateLimit(told.append, lambda: now)
    record = logging.makeLogRecord({"name": "sgtm.x", "msg": "outbox full"})
    assert sum(limit.filter(record) for _ in range(25)) == LINES_PER_SECOND
    assert limit.filter(logging.makeLogRecord({"name": "sgtm.x", "msg": "another"}))
    now = 6.0
    assert limit.filter(record)
    (count,) = told
    assert (count.of, count.times) == ("outbox full", 15)  # type: ignore[attr-defined]


def test_a_flood_of_different_messages_is_bounded() -> None:
    limit = RateLimit(lambda _: None, lambda: 0.0)
    passed = sum(limit.filter(logging.makeLogRecord({"msg": f"message {n}"})) for n in range(5000))
    assert passed == MAX_MESSAGES


def test_the_count_itself_goes_through_the_handler(stream: Stream) -> None:
    now = 1.0
    handler = configure("info", "json", stream)
    limit = handler.filters[0]
    assert isinstance(limit, RateLimit)
    limit._clock = lambda: now
    for _ in range(12):
        logging.getLogger("sgtm.test").info("again")
    now = 2.0
    logging.getLogger("sgtm.test").info("again")
    assert [line.get("times") for line in lines(stream)] == [*[None] * 10, 2, None]


def test_a_reader_that_hangs_never_stops_the_server() -> None:
    """A pipe that nobody reads blocks its writer after 64 KB."""
    read_end, write_end = os.pipe()
    with open(read_end) as reader, open(write_end, "w") as writer:
        handler = LineHandler(writer)
        line = logging.makeLogRecord({"msg": "x" * 1000})
        started = time.monotonic()
        for _ in range(WAITING_LINES + 200):
            handler.emit(line)
        assert time.monotonic() - started < 5
        text = "".join(reader.readline() for _ in range(WAITING_LINES))
        handler.emit(line)
        text += reader.readline()
        while "dropped" not in text:
            text += reader.readline()
        threading.Thread(target=reader.read, daemon=True).start()
        handler.close()


def test_a_stream_that_is_gone_is_no_error() -> None:
    stream = io.StringIO()
    stream.close()
    handler = LineHandler(stream)
    handler.emit(logging.makeLogRecord({"msg": "x"}))
    handler.close()
