"""Templates that fail, alone: others send, the worker lives, what failed is kept (SPEC: reliability 4)."""

import asyncio
import json
import time

import aiohttp
import pytest
from doubles import eventually
from gtm_containers import SENDER, container, plain, sender
from gtm_templates import EVENT, LOG, URLS, template, text_field

from sgtm.container.compile import load_container
from sgtm.demo.vendor import Fault

RUNNER = "const a = []; const send = require('sendHttpRequest'); const log = require('logToConsole');\n"
HOSTILE = {
    # name of the limit, or class of the error -> code
    "template_steps": "while (true) {}",
    "template_call_depth": "const f = () => f() + 1; f();",
    "template_text_length": "let t = 'x'; while (true) { t = t + t; }",
    "template_elements": "while (true) { a.push([]); }",
    "template_pending_promises": "const p = require('Promise'); while (true) { p.create(() => {}); }",
    "template_http_calls": "while (true) { a.push(send(data.url, {method: 'GET'})); }",
    "template_log_lines": "while (true) { log('x'); }",
    "ScriptError": "const none = undefined; none.secret_of_somebody();",
    "FatalError": "const name = 'noSuchApi'; require(name);",
    "called neither": "",
    "called gtmOnFailure": "data.gtmOnFailure();",
    "permission get_cookies": "require('getCookieValues')('session');",
}


def hostile(code):
    return template("TAG", RUNNER + code, URLS, EVENT, LOG, fields=[text_field("url")])


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as one:
        yield one


async def order(session, served, **data):
    body = {"event_name": "order", "email": "jo@shop.example", **data}
    async with session.post(f"{served.url}/orders", json=body) as answer:
        return answer.status


async def reasons(served):
    """Tag -> reason of its dead letter."""
    letters = await served.worker.outbox.letters()
    return {one.letter.tag: one.letter.reason for one in letters}


async def test_whatever_goes_wrong_in_a_template_fails_its_tag_alone(serve, vendor, session, caplog):
    templates = {"Sender": SENDER} | {
        f"Bad {index}": hostile(code) for index, code in enumerate(HOSTILE.values())
    }
    tags = [
        {"name": kind, "type": f"Bad {index}", "parameters": {"url": f"{vendor.url}/bad"}}
        for index, kind in enumerate(HOSTILE)
    ]
    tags += [sender(f"{vendor.url}/good"), plain(f"{vendor.url}/plain", event="{{Event Name}}")]
    served = await serve(container(templates, variables=(), tags=tags), template_cpu_ms=60_000)
    assert await order(session, served) < 300
    assert [one.json()["name"] for one in await vendor.wait_for(1, "/good")] == ["order"]
    assert [one.json() for one in await vendor.wait_for(1, "/plain")] == [{"event": "order"}]
    failed = await reasons(served)
    assert failed.keys() == HOSTILE.keys()
    for kind, reason in failed.items():
        assert "template 'Bad " in reason
        assert kind in reason
        assert "jo@shop" not in reason
        assert "secret_of_somebody" not in reason, "what a script says may quote the event"
    assert vendor.requests("/bad") == [], "a run that failed asks no more"
    counters = served.worker.counters
    assert counters.value("sgtm_template_limits_total", "Bad 0/steps") == 1
    assert counters.value("sgtm_template_failures_total", "Bad 0") == 1
    assert "jo@shop" not in caplog.text
    assert await order(session, served) < 300
    assert await vendor.wait_for(2, "/good"), "the worker lives"


async def test_a_run_that_takes_too_long_of_the_processor_ends(serve, session):
    # SPEC: reliability 4.2
    looping = {"name": "Loop", "type": "Loop"}
    code = hostile("while (true) {}")
    served = await serve(
        container({"Loop": code}, variables=(), tags=[looping]), template_cpu_ms=1, template_steps=10**12
    )
    assert await order(session, served) < 300
    assert "beyond the limit template_cpu_ms" in (await reasons(served))["Loop"]
    assert served.worker.counters.value("sgtm_template_limits_total", "Loop/cpu_ms") == 1


async def test_a_vendor_that_hangs_ends_the_run_at_its_wall_time(serve, vendor, session):
    vendor.fail("/slow", Fault(latency_ms=60_000))
    served = await serve(
        container({"Sender": SENDER}, variables=(), tags=[sender(f"{vendor.url}/slow")]), template_wall_s=0.3
    )
    assert await order(session, served) < 300
    await eventually(lambda: served.worker.counters.value("sgtm_tags_failed_total", "Sender") == 1)
    assert "template_wall_s" in (await reasons(served))["Sender"]
    assert served.worker.counters.value("sgtm_template_limits_total", "Sender/wall_s") == 1


async def test_a_request_that_times_out_is_told_to_the_template(serve, vendor, session):
    vendor.fail("/slow", Fault(latency_ms=60_000))
    code = """
require('sendHttpRequest')(data.url, {timeout: 100}).then(data.gtmOnSuccess, why => {
  require('logToConsole')('was', why.reason);
  data.gtmOnFailure();
});
"""
    slow = {"name": "Slow", "type": "Slow", "parameters": {"url": f"{vendor.url}/slow"}}
    served = await serve(container({"Slow": hostile(code)}, variables=(), tags=[slow]))
    await order(session, served)
    await eventually(lambda: served.worker.counters.value("sgtm_tags_failed_total", "Slow") == 1)
    assert served.worker.counters.value("sgtm_template_requests_total", "timed out") == 1


async def test_what_nobody_waits_for_goes_through_the_lanes_and_is_sent_again(serve, vendor, session):
    # a request whose promise is forgotten is as durable as a native tag's
    vendor.fail("/once", Fault(status=503, times=1))
    forget = hostile("send(data.url, {method: 'POST'}, 'x'); data.gtmOnSuccess();")
    tag = {"name": "Forget", "type": "Forget", "parameters": {"url": f"{vendor.url}/once"}}
    served = await serve(container({"Forget": forget}, variables=(), tags=[tag]))
    await order(session, served)
    assert [one.status for one in await vendor.wait_for(2, "/once", timeout_s=20)] == [503, 204]
    assert served.worker.counters.value("sgtm_deliveries_retried_total", "Forget") == 1


async def test_a_set_up_tag_that_says_it_failed_stops_its_main_tag(serve, vendor, session):
    # SPEC: google-runtime 4.5
    main = sender(f"{vendor.url}/main") | {"setup_tag": {"tag": "Set up", "stop_on_failure": True}}
    first = sender(f"{vendor.url}/first", name="Set up") | {"firing_triggers": []}
    served = await serve(container({"Sender": SENDER}, variables=(), tags=[main, first]))
    await order(session, served)
    await vendor.wait_for(1, "/main")
    vendor.fail("/first", Fault(status=500))
    await order(session, served)
    await eventually(lambda: served.worker.counters.value("sgtm_tags_held_back_total", "Sender") == 1)
    assert len(vendor.requests("/main")) == 1


async def test_many_runs_wait_at_once(serve, vendor, session):
    vendor.fail("/slow", Fault(latency_ms=200))
    served = await serve(container({"Sender": SENDER}, variables=(), tags=[sender(f"{vendor.url}/slow")]))
    began = time.monotonic()
    await asyncio.gather(*(order(session, served) for _ in range(20)))
    await eventually(lambda: served.worker.counters.value("sgtm_tags_fired_total", "Sender") == 20)
    assert time.monotonic() - began < 20 * 0.2, "one after the other it would take 4 s"


async def test_a_hit_causes_no_more_than_it_may(serve, vendor, session):
    greedy = hostile(
        "let i = 0; while (i < 9) { i = i + 1; send(data.url).then(() => 1, () => 2); } data.gtmOnSuccess();"
    )
    tag = {"name": "Greedy", "type": "Greedy", "parameters": {"url": f"{vendor.url}/many"}}
    served = await serve(container({"Greedy": greedy}, variables=(), tags=[tag]), hit_requests=4)
    await order(session, served)
    counters = served.worker.counters
    await eventually(lambda: counters.value("sgtm_template_requests_total", "too many") == 5)
    assert len(await vendor.wait_for(4, "/many")) == 4


async def test_an_export_runs_its_templates(serve, vendor, session, tmp_path):
    # SPEC: sandbox-api 5.7: customTemplate, instances of type cvt_<container>_<template>
    def parameter(key, value, type_="TEMPLATE"):
        return {"type": type_, "key": key, "value": value}

    path = tmp_path / "GTM-A1.json"
    version = {
        "containerId": "7",
        "container": {"publicId": "GTM-A1", "usageContext": ["SERVER"]},
        "client": [{"clientId": "1", "name": "GA4", "type": "gaaw_client"}],
        "tag": [
            {
                "tagId": "2",
                "name": "Own",
                "type": "cvt_7_3",
                "firingTriggerId": ["2147479574"],
                "parameter": [
                    parameter("url", f"{vendor.url}/own"),
                    parameter("product", "{{Event Name}} here"),
                    parameter("loud", "false", "BOOLEAN"),
                    parameter("field_of_an_older_version", "x"),
                ],
            }
        ],
        "customTemplate": [{"containerId": "7", "templateId": "3", "name": "Sender", "templateData": SENDER}],
    }
    path.write_text(json.dumps({"exportFormatVersion": 2, "containerVersion": version}))

    served = await serve(load_container(path))
    async with session.get(f"{served.url}/g/collect?v=2&tid=G-1&cid=1.2&en=view") as answer:
        assert answer.status < 300
    assert [one.json() for one in await vendor.wait_for(1, "/own")] == [
        {"name": "view", "product": "view here", "loud": False}
    ]
