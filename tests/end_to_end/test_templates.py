"""Gallery templates in containers, by whole servers: real sockets, vendors of our own, templates too."""

import aiohttp
import pytest
from doubles import eventually
from gtm_templates import CLIENT, EVENT, LOG, URLS, template, text_field

from sgtm.demo.vendor import Fault

BOTH_WAYS = True

SENDER = template(
    "TAG",
    """
const event = require('getAllEventData')();
require('logToConsole')('sending', event.event_name);
const body = require('JSON').stringify({name: event.event_name, product: data.product, loud: data.loud});
require('sendHttpRequest')(data.url, {method: 'POST', timeout: 3000}, body).then(
  answer => answer.statusCode < 300 ? data.gtmOnSuccess() : data.gtmOnFailure(),
  data.gtmOnFailure);
""",
    URLS,
    EVENT,
    LOG,
    fields=[
        text_field("url", valueValidators=[{"type": "NON_EMPTY"}]),
        text_field("product"),
        {"type": "CHECKBOX", "name": "loud", "defaultValue": True},
    ],
)
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
CONSENT = {"consent": {"unset": "granted", "gate": "declared"}}
ORDERS = {"name": "Orders", "type": "json", "parameters": {"paths": ["/orders"]}}
PRODUCT = {"name": "Product", "type": "event_data", "parameters": {"key_path": "product"}}


def container(templates, *, clients=(ORDERS,), variables=(PRODUCT,), tags=()):
    return {
        "sgtm": 1,
        **CONSENT,
        "clients": list(clients),
        "variables": list(variables),
        "tags": [{"firing_triggers": ["All Events"], **tag} for tag in tags],
        "custom_templates": [{"name": name, "source": source} for name, source in templates.items()],
    }


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as one:
        yield one


async def order(session, served, **data):
    async with session.post(f"{served.url}/orders", json={"event_name": "order", **data}) as answer:
        return answer.status


async def test_a_tag_sends_what_its_code_says_and_its_fields_hold_variables(serve, vendor, session):
    tag = {
        "name": "One",
        "type": "Sender",
        "parameters": {"url": f"{vendor.url}/one", "product": "{{Product}}"},
    }
    served = await serve(container({"Sender": SENDER}, tags=[tag]))
    assert await order(session, served, product="Hat") < 300
    assert await order(session, served) < 300
    # a reference that is undefined leaves the field absent (SPEC: sandbox-api 5.10.3.7)
    assert [one.json() for one in await vendor.wait_for(2, "/one")] == [
        {"name": "order", "product": "Hat", "loud": True},
        {"name": "order", "loud": True},
    ]
    counters = served.worker.counters
    await eventually(lambda: counters.value("sgtm_tags_fired_total", "One") == 2)
    assert counters.value("sgtm_template_runs_total", "Sender") == 2
    assert counters.value("sgtm_template_requests_total", "answered") == 2


async def test_a_client_answers_when_the_tags_of_all_its_events_have_run(serve, vendor, session):
    vendor.fail("/one", Fault(latency_ms=200))
    tag = {"name": "One", "type": "Sender", "parameters": {"url": f"{vendor.url}/one"}}
    clients = [{"name": "Claimer", "type": "Claimer", "parameters": {"path": "/in"}}]
    served = await serve(
        container({"Sender": SENDER, "Claimer": CLAIMER}, clients=clients, variables=(), tags=[tag])
    )
    async with session.get(f"{served.url}/in") as answer:
        assert (answer.status, await answer.text()) == (201, "began 2, ended 2")
    assert [one.json()["name"] for one in vendor.requests("/one")] == ["first", "second"], "before the answer"
    async with session.get(f"{served.url}/other") as answer:
        assert answer.status == 400, "it claims its own path only"
