"""The pipeline of a collector: claim, answer, append. Its records are delivered elsewhere."""

import asyncio

import pytest
from corridor import REQUEST, claim, make_client, make_container, make_tag, send_one
from doubles import HeldLanes, NotingOutbox
from msgspec.structs import replace

from sgtm.component import find
from sgtm.delivery.outbox import OutboxUnavailable
from sgtm.messages import DONE, Answer, Claimed, Cookie, TagResult
from sgtm.observability.metrics import Counters
from sgtm.pipeline import Pipeline

# SPEC: design.md Delivery: a collect process need only claim, answer and append; it also runs tags marked as
# answering the browser, and drops their requests.


def collector(*tags, said=None, outbox=None):
    said = said or claim("page_view")
    container = make_container([make_client(lambda r: said)], tags)
    return Pipeline(container, outbox or NotingOutbox(), HeldLanes(DONE), Counters(), delivers=False)


def with_cookie(event):
    return TagResult(tuple(send_one(event)), cookies=(Cookie("_fbp", event.name, 60),))


def answering(function, name):
    return replace(make_tag(function, name), answers_browser=True)


async def committed(error=None):
    if error is not None:
        raise error


def test_only_tags_that_answer_the_browser_run_and_their_requests_are_dropped():
    ran = []
    outbox = NotingOutbox()
    pipeline = collector(
        answering(with_cookie, "Meta"), make_tag(lambda event: ran.append(event) or [], "GA4"), outbox=outbox
    )
    answer = pipeline.run(REQUEST)
    assert answer.status == 204
    assert any("_fbp=page_view" in value for name, value in answer.headers if name == "Set-Cookie")
    assert not ran
    assert not pipeline._firing._lanes.deliveries
    assert [told[0] for told in outbox.told if told[0] != "ran"] == ["append"]
    assert pipeline._counters.value("sgtm_events_total", "client") == 0, "counted where they are delivered"
    assert pipeline._counters.value("sgtm_tags_fired_total", "Meta") == 0


def test_a_tag_that_raises_here_makes_no_letter_since_it_raises_again_where_it_is_delivered():
    outbox = NotingOutbox()

    def raises(event):
        raise ValueError

    assert collector(answering(raises, "Meta"), outbox=outbox).run(REQUEST).status == 204
    assert "bury" not in [told[0] for told in outbox.told]


async def test_a_hit_that_came_before_is_not_appended_again_but_one_that_was_refused_is():
    said = Claimed([{"event_name": "a"}], Answer(204), repeat_keys=("1",))
    outbox = NotingOutbox(committed(OutboxUnavailable("no broker")))
    pipeline = collector(said=said, outbox=outbox)
    assert (await pipeline.run(REQUEST)).status == 503
    for status in (204, 204):
        outbox.commit = committed()
        answer = pipeline.run(REQUEST)
        assert (await answer if asyncio.iscoroutine(answer) else answer).status == status
    outbox.commit.close()
    assert [told[0] for told in outbox.told] == ["append", "append"]
    assert pipeline._counters.value("sgtm_events_repeated_total", "client") == 1


@pytest.mark.parametrize(("parameters", "answers"), [({}, False), ({"extend_cookies": True}, True)])
def test_meta_answers_the_browser_where_it_keeps_cookies(parameters, answers):
    component = find("tag", "meta_conversions")
    assert component.answers_browser(parameters) is answers
