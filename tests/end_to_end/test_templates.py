"""Gallery templates in containers, by whole servers: real sockets, vendors of our own, templates too."""

import aiohttp
import pytest
from doubles import eventually
from gtm_containers import SENDER, container, plain, sender
from gtm_templates import CLIENT, RESPONSE, URLS, template, text_field

from sgtm.demo.vendor import Fault

BOTH_WAYS = True

# SPEC sandbox-api 1.1, 1.3: the answer leaves when the tags have run, if the client wants it so
CLAIMER = template(
    "CLIENT",
    """
if (require('getRequestPath')() !== data.path) { return; }
require('claimRequest')();
const setStatus = require('setResponseStatus'), setBody = require('setResponseBody');
const returnResponse = require('returnResponse');
let began = 0, ended = 0;
const answer = () => {
  ended = ended + 1;
  if (ended < 2) { return; }
  setStatus(201);
  setBody('began ' + began + ', ended ' + ended);
  returnResponse();
};
const run = require('runContainer');
run({event_name: 'first'}, answer, () => { began = began + 1; });
run({event_name: 'second'}, answer, () => { began = began + 1; });
""",
    CLIENT,
    fields=[text_field("path")],
)
AT_ONCE = template(
    "CLIENT",
    """
require('claimRequest')();
require('setResponseHeader')('X-Own', 'yes');
require('setResponseHeader')('Access-Control-Allow-Origin', 'https://own.example');
require('returnResponse')();
require('runContainer')({event_name: 'late'});
""",
    CLIENT,
)
ASKING = template(
    "CLIENT",
    """
require('claimRequest')();
const setBody = require('setResponseBody'), returnResponse = require('returnResponse');
const send = require('sendHttpRequest'), run = require('runContainer');
send(data.url, {method: 'GET'}).then(answer => {
  run({event_name: answer.body}, () => {
    send(data.url + '/more', {method: 'GET'}).then(more => { setBody(more.body); returnResponse(); });
  });
});
send(data.url + '/forgotten', {method: 'GET'});
""",
    CLIENT,
    URLS,
    fields=[text_field("url")],
)
SILENT = template("CLIENT", "require('claimRequest')(); require('runContainer')({event_name: 'e'});", CLIENT)
UPPER = template(
    "MACRO",
    "return {text: data.text.toUpperCase(), not_there: undefined, function: () => 1};",
    fields=[text_field("text")],
)
ASKED = template(
    "MACRO",
    """
return require('sendHttpRequest')(data.url, {method: 'GET'}).then(answer => {
  if (answer.statusCode >= 400) { return null.never; }
  return answer.body + '!';
});
""",
    URLS,
    fields=[text_field("url")],
)
COOKIES = template(
    "TAG",
    """
require('setCookie')('_own', 'a b', {domain: 'auto', path: '/', 'max-age': 60});
require('setResponseStatus')(418);
data.gtmOnSuccess();
""",
    RESPONSE,
    {
        "set_cookies": {
            "allowedCookies": [{"name": "*", "domain": "*", "path": "*", "secure": "any", "session": "any"}]
        }
    },
)


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as one:
        yield one


async def order(session, served, **data):
    async with session.post(f"{served.url}/orders", json={"event_name": "order", **data}) as answer:
        return answer.status


def client(type_, **parameters):
    return {"name": type_, "type": type_, "parameters": parameters}


async def test_a_tag_sends_what_its_code_says_and_its_fields_hold_variables(serve, vendor, session):
    tag = sender(f"{vendor.url}/one", product="{{Product}}")
    served = await serve(container({"Sender": SENDER}, tags=[tag]))
    assert await order(session, served, product="Hat") < 300
    assert await order(session, served) < 300
    # a reference that is undefined leaves the field absent (SPEC: sandbox-api 5.10.3.7)
    received = [one.json() for one in await vendor.wait_for(2, "/one")]
    assert sorted(received, key=len) == [
        {"name": "order", "loud": True},
        {"name": "order", "product": "Hat", "loud": True},
    ]
    counters = served.worker.counters
    await eventually(lambda: counters.value("sgtm_tags_fired_total", "Sender") == 2)
    assert counters.value("sgtm_template_runs_total", "Sender") == 2
    assert counters.value("sgtm_template_requests_total", "answered") == 2


@pytest.mark.parametrize(("level", "is_there"), [("INFO", False), ("DEBUG", True)])
async def test_what_templates_write_is_in_the_log_of_whoever_asks_for_everything(
    serve, vendor, session, caplog, level, is_there
):
    # R229; nothing of an event is in any other line
    caplog.set_level(level, "sgtm")
    served = await serve(container({"Sender": SENDER}, variables=(), tags=[sender(f"{vendor.url}/one")]))
    await order(session, served)
    await eventually(lambda: served.worker.counters.value("sgtm_tags_fired_total", "Sender") == 1)
    lines = [one.line for one in caplog.records if one.getMessage() == "template wrote"]
    assert lines == (["sending order"] if is_there else [])


async def test_a_client_answers_when_the_tags_of_all_its_events_have_run(serve, vendor, session):
    vendor.fail("/one", Fault(latency_ms=100))
    templates = {"Sender": SENDER, "Claimer": CLAIMER}
    clients = [client("Claimer", path="/in")]
    served = await serve(
        container(templates, clients=clients, variables=(), tags=[sender(f"{vendor.url}/one")])
    )
    async with session.get(f"{served.url}/in") as answer:
        assert (answer.status, await answer.text()) == (201, "began 2, ended 2")
    assert sorted(one.json()["name"] for one in vendor.requests("/one")) == ["first", "second"]
    async with session.get(f"{served.url}/other") as answer:
        assert answer.status == 400, "it claims its own path only"


async def test_a_client_that_answers_at_once_waits_for_no_tag(serve, vendor, session):
    vendor.fail("/one", Fault(latency_ms=60_000))
    templates = {"Sender": SENDER, "AtOnce": AT_ONCE}
    served = await serve(
        container(templates, clients=[client("AtOnce")], variables=(), tags=[sender(f"{vendor.url}/one")])
    )
    async with session.get(f"{served.url}/", headers={"Origin": "https://page.example"}) as answer:
        assert (answer.status, answer.headers["X-Own"]) == (200, "yes")
        assert answer.headers.getall("Access-Control-Allow-Origin") == ["https://own.example"]
    assert [one.json()["name"] for one in await vendor.wait_for(1, "/one")] == ["late"]


async def test_a_client_asks_before_it_hands_over_its_event_and_before_it_answers(serve, vendor, session):
    vendor.fail("/ask", Fault(status=200, body=b"found"))
    vendor.fail("/ask/more", Fault(status=200, body=b"more"))
    tags = [plain(f"{vendor.url}/tag", event="{{Event Name}}")]
    served = await serve(
        container(
            {"Asking": ASKING}, clients=[client("Asking", url=f"{vendor.url}/ask")], variables=(), tags=tags
        )
    )
    async with session.get(served.url) as answer:
        assert (answer.status, await answer.text()) == (200, "more")
    assert [one.json() for one in await vendor.wait_for(1, "/tag")] == [{"event": "found"}]
    assert await vendor.wait_for(1, "/ask/forgotten"), "nobody waits for it, and it is sent"


async def test_a_client_that_never_answers_is_504_and_its_events_run(serve, vendor, session):
    tags = [plain(f"{vendor.url}/tag", event="{{Event Name}}")]
    served = await serve(container({"Silent": SILENT}, clients=[client("Silent")], variables=(), tags=tags))
    async with session.get(served.url) as answer:
        assert answer.status == 504
    assert [one.json() for one in await vendor.wait_for(1, "/tag")] == [{"event": "e"}]


async def test_a_variable_is_what_its_code_returns_or_what_its_promise_comes_to(serve, vendor, session):
    vendor.fail("/value", Fault(status=200, body=b"seven"))
    vendor.fail("/gone", Fault(status=404))
    variables = [
        {"name": "Product", "type": "event_data", "parameters": {"key_path": "product"}},
        {"name": "Upper", "type": "Upper", "parameters": {"text": "{{Product}}"}},
        {"name": "Asked", "type": "Asked", "parameters": {"url": f"{vendor.url}/value"}},
        {"name": "Gone", "type": "Asked", "parameters": {"url": f"{vendor.url}/gone"}},
    ]
    body = {"upper": "{{Upper}}", "asked": "{{Asked}}", "gone": "{{Gone}}"}
    served = await serve(
        container(
            {"Upper": UPPER, "Asked": ASKED}, variables=variables, tags=[plain(f"{vendor.url}/t", **body)]
        )
    )
    await order(session, served, product="hat")
    # SPEC: sandbox-api 5.10.4, A14: what is rejected is undefined, what throws at once is false
    assert (await vendor.wait_for(1, "/t"))[0].json() == {"upper": {"text": "HAT"}, "asked": "seven!"}
    await order(session, served)
    assert (await vendor.wait_for(2, "/t"))[1].json() == {"upper": False, "asked": "seven!"}
    assert served.worker.counters.value("sgtm_variable_errors_total", "Upper") == 1


async def test_a_tag_sets_cookies_and_changes_no_answer_of_a_client_of_ours(serve, session):
    tag = {"name": "Cookies", "type": "Cookies"}
    served = await serve(container({"Cookies": COOKIES}, tags=[tag]))
    async with session.post(f"{served.url}/orders", json={"event_name": "order"}) as answer:
        assert answer.status < 300
        assert answer.headers["Set-Cookie"].startswith("_own=a%20b")


async def test_what_a_tag_says_about_the_answer_is_in_it_where_a_template_is_the_client(serve, session):
    # SPEC: sandbox-api 1.2: client and tags, effective until returnResponse
    code = """
require('claimRequest')();
require('runContainer')({event_name: 'e'}, () => require('returnResponse')());
"""
    templates = {"Cookies": COOKIES, "Claims": template("CLIENT", code, CLIENT)}
    tag = {"name": "Cookies", "type": "Cookies"}
    served = await serve(container(templates, clients=[client("Claims")], variables=(), tags=[tag]))
    async with session.get(served.url) as answer:
        assert answer.status == 418
        assert answer.headers.getall("Set-Cookie")[0].startswith("_own=a%20b")
        assert len(answer.headers.getall("Set-Cookie")) == 1


async def test_an_event_that_went_out_is_not_asked_for_again(serve, vendor, session):
    # R192: a template's own requests count as much as those of the lanes
    tag = sender(f"{vendor.url}/one") | {"deduplicate": {"key": "product"}}
    served = await serve(container({"Sender": SENDER}, variables=(), tags=[tag]))
    vendor.fail("/one", Fault(status=500, times=1))
    counters = served.worker.counters
    for count, product in enumerate(("Hat", "Hat", "Hat", "Shoe")):
        await order(session, served, product=product)
        await eventually(
            lambda count=count: (
                counters.value("sgtm_tags_fired_total", "Sender")
                + counters.value("sgtm_tags_failed_total", "Sender")
                + counters.value("sgtm_events_deduplicated_total", "Sender")
                == count + 1
            )
        )
    # the first failed, so its key was given back
    assert [one.status for one in vendor.requests("/one")] == [500, 204, 204]
    assert counters.value("sgtm_events_deduplicated_total", "Sender") == 1
