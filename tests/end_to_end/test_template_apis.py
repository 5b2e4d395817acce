# ruff: noqa: E501 - templates
"""What APIs leave in a host reaches the world: whole servers, real sockets, templates and vendors of our own."""

import json

import aiohttp
import pytest
from certificates import key_pem, new_key
from doubles import eventually
from gtm_templates import CLIENT, EVENT, LOG, URLS, template, text_field

from sgtm.demo.vendor import Fault

COOKIES = {"set_cookies": {"allowedCookies": [{"name": "*", "domain": "*", "path": "*"}]}}
MESSAGES = {"use_message": {"allowedActions": "any"}}
GOOGLE = {
    "access_firestore": {"allowedOptions": [{"projectId": "*", "path": "*", "operation": "read_write"}]},
    "access_bigquery": {
        "allowedTables": [{"projectId": "*", "datasetId": "*", "tableId": "*", "operation": "write"}]
    },
    "use_google_credentials": {"allowedScopes": ["https://www.googleapis.com/auth/pubsub"]},
    "use_custom_private_keys": {"keyIds": ["orders"]},
}
JSON_CLIENT = {"name": "Orders", "type": "json", "parameters": {"paths": ["/orders"]}}


def container(templates, **lists):
    return {
        "sgtm": 1,
        "consent": {"unset": "granted", "gate": "declared"},
        "clients": [JSON_CLIENT],
        "custom_templates": [{"name": name, "source": source} for name, source in templates.items()],
        **lists,
    }


def tag(type_, **parameters):
    return {"name": type_, "type": type_, "parameters": parameters, "firing_triggers": ["All Events"]}


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as one:
        yield one


async def order(session, served, **data):
    async with session.post(f"{served.url}/orders", json={"event_name": "order", **data}) as answer:
        return answer.status, answer.headers.getall("Set-Cookie", [])


# -- requests ------------------------------------------------------------------------------------------


async def test_a_request_that_nobody_waits_for_is_sent_again_by_its_lane(serve, vendor, session):
    code = "require('sendHttpRequest')(data.url, {method: 'POST'}, 'x'); data.gtmOnSuccess();"
    vendor.fail("/flaky", Fault(status=503, times=2))
    source = template("TAG", code, URLS, fields=[text_field("url")])
    served = await serve(container({"Sender": source}, tags=[tag("Sender", url=f"{vendor.url}/flaky")]))
    assert (await order(session, served))[0] < 300
    assert [one.status for one in await vendor.wait_for(3, "/flaky")] == [503, 503, 204]


async def test_an_answer_that_a_template_waits_for_is_asked_once_and_its_status_is_an_answer(
    serve, vendor, session
):
    code = """
const send = require('sendHttpRequest');
send(data.url, (status, headers, body) => {
  send(data.url + '/next', {method: 'POST', headers: {'X-Status': status, 'X-Kind': headers['content-type']}}, body)
    .then(data.gtmOnSuccess, data.gtmOnFailure);
}, {method: 'PUT'});
"""
    vendor.fail("/old", Fault(status=503, body=b"busy", headers=(("content-type", "text/busy"),)))
    source = template("TAG", code, URLS, fields=[text_field("url")])
    served = await serve(container({"Asker": source}, tags=[tag("Asker", url=f"{vendor.url}/old")]))
    await order(session, served)
    (one,) = await vendor.wait_for(1, "/old/next")
    headers = dict(one.headers)
    assert (one.body, headers["X-Status"], headers["X-Kind"]) == (b"busy", "503", "text/busy")
    assert [one.method for one in vendor.requests("/old") if one.path == "/old"] == ["PUT"]


# -- clients, variables, messages ----------------------------------------------------------------------

PROXY = """
if (require('getRequestPath')() !== '/profile') return;
require('claimRequest')();
const setHeader = require('setResponseHeader');
require('sendHttpGet')(data.url + '?' + require('getRequestQueryString')(), (status, headers, body) => {
  if (status !== 200) { require('setResponseStatus')(400); require('returnResponse')(); return; }
  const event = require('JSON').parse(body);
  event.event_name = 'profile';
  setHeader('Content-Type', 'application/json');
  setHeader('Access-Control-Allow-Origin', require('getRequestHeader')('origin'));
  require('setResponseBody')(body);
  require('runContainer')(event, require('returnResponse'));
});
"""


async def test_a_client_that_asks_a_service_first_answers_with_it_and_runs_the_container(
    serve, vendor, session
):
    # as proxies of the gallery do; one header for cross-origin requests, the template's own
    vendor.fail("/service", Fault(status=200, body=b'{"tier": "gold"}'))
    vendor.fail("/broken", Fault(status=500))
    sender = template(
        "TAG",
        "require('sendHttpRequest')(data.url, {method: 'POST'}, require('JSON').stringify(require('getAllEventData')()));"
        "data.gtmOnSuccess();",
        URLS,
        EVENT,
        fields=[text_field("url")],
    )
    proxy = template("CLIENT", PROXY, CLIENT, URLS, fields=[text_field("url")])
    clients = [{"name": "P", "type": "Proxy", "parameters": {"url": f"{vendor.url}/service"}}]
    lists = {"clients": clients, "tags": [tag("Sender", url=f"{vendor.url}/tag")]}
    served = await serve(container({"Proxy": proxy, "Sender": sender}, **lists))
    async with session.get(f"{served.url}/profile?id=7", headers={"Origin": "https://a.example"}) as answer:
        assert (answer.status, await answer.json()) == (200, {"tier": "gold"})
        assert answer.headers.getall("Access-Control-Allow-Origin") == ["https://a.example"]
    assert vendor.requests("/service")[0].query == "id=7"
    (sent,) = await vendor.wait_for(1, "/tag")
    assert sent.json() == {"tier": "gold", "event_name": "profile"}
    vendor.fail("/service", Fault(status=500))
    async with session.get(f"{served.url}/profile?id=8") as answer:
        assert answer.status == 400


async def test_a_variable_sets_a_cookie_as_those_do_that_know_an_order_again(serve, vendor, session):
    code = """
const name = 'seen', id = require('getEventData')('transaction_id');
const seen = require('getCookieValues')(name)[0] || '';
if (seen === id) return true;
require('setCookie')(name, id, {domain: 'auto', path: '/', 'max-age': 600, secure: true, samesite: 'Lax'});
return false;
"""
    cookie = {"get_cookies": {"cookieAccess": "any"}}
    source = template("MACRO", code, EVENT, COOKIES, cookie)
    variables = [{"name": "Seen", "type": "Known", "parameters": {}}]
    url = {"url": f"{vendor.url}/x", "query": {"seen": "{{Seen}}"}}
    sending = {"name": "S", "type": "http_request", "parameters": url, "firing_triggers": ["All Events"]}
    served = await serve(container({"Known": source}, variables=variables, tags=[sending]))
    _, cookies = await order(session, served, transaction_id="T-1")
    assert cookies == ["seen=T-1; Max-Age=600; Path=/; Secure; SameSite=Lax"]
    session.cookie_jar.clear()
    async with session.post(
        f"{served.url}/orders",
        json={"event_name": "o", "transaction_id": "T-1"},
        headers={"Cookie": "seen=T-1"},
    ) as answer:
        assert "Set-Cookie" not in answer.headers
    assert [one.query for one in await vendor.wait_for(2, "/x")] == ["seen=false", "seen=true"]


async def test_a_tag_tells_its_client_what_became_of_the_event(serve, session):
    client = """
if (require('getRequestPath')() !== '/in') return;
require('claimRequest')();
const told = [];
require('addMessageListener')('done', (type, message) => { told.push(message.id); });
require('runContainer')({event_name: 'a'}, () => {
  require('setResponseBody')(require('JSON').stringify(told));
  require('returnResponse')();
});
"""
    teller = "require('sendMessage')('done', {id: data.id}); data.gtmOnSuccess();"
    templates = {
        "Listener": template("CLIENT", client, CLIENT, MESSAGES),
        "Teller": template("TAG", teller, MESSAGES, fields=[text_field("id")]),
    }
    clients = [{"name": "L", "type": "Listener", "parameters": {}}]
    tags = [{**tag("Teller", id="one"), "name": "1"}, {**tag("Teller", id="two"), "name": "2"}]
    served = await serve(container(templates, clients=clients, tags=tags))
    async with session.get(f"{served.url}/in") as answer:
        assert json.loads(await answer.read()) == ["one", "two"]


async def test_a_denied_call_fails_its_tag_alone_and_names_no_value(serve, vendor, session, caplog):
    denied = "require('setCookie')('c', 'secret-value'); data.gtmOnSuccess();"
    good = "require('sendHttpRequest')(data.url, {method: 'POST'}, 'x'); data.gtmOnSuccess();"
    templates = {
        "Denied": template("TAG", denied, LOG),
        "Good": template("TAG", good, URLS, fields=[text_field("url")]),
    }
    tags = [tag("Denied"), tag("Good", url=f"{vendor.url}/good")]
    served = await serve(container(templates, tags=tags))
    await order(session, served)
    await vendor.wait_for(1, "/good")
    await eventually(lambda: served.worker.counters.value("sgtm_template_failures_total", "Denied") == 1)
    assert "secret-value" not in caplog.text


# -- Google --------------------------------------------------------------------------------------------

SIGNED_GOLD = "192b4dd719e2e4751cab0a3d094321769d81afa8e3b6839e9e31c3b8ecbcd6ad"
CLOUD = """
const store = require('Firestore'), JSON = require('JSON');
store.read('plans/' + require('getEventData')('plan')).then(plan => {
  const auth = require('getGoogleAuth')({scopes: ['https://www.googleapis.com/auth/pubsub']});
  const signed = require('hmacSha256')(plan.data.name, 'orders', {outputEncoding: 'hex'});
  require('sendHttpRequest')(data.url, {method: 'POST', authorization: auth, headers: {'X-Signed': signed}}, plan.id);
  store.write('orders/1', {plan: plan.data.name}, {merge: true});
  require('BigQuery').insert({datasetId: 'd', tableId: 't'}, [{plan: plan.data.name}]);
  data.gtmOnSuccess();
}, data.gtmOnFailure);
"""


@pytest.mark.parametrize("has_account", [True, False])
async def test_googles_services_and_the_accounts_token(serve, vendor, session, tmp_path, has_account):
    documents = "/v1/projects/shop-live/databases/%28default%29/documents".replace("%28", "(").replace(
        "%29", ")"
    )
    plan = {"name": f"{documents[4:]}/plans/gold", "fields": {"name": {"stringValue": "Gold"}}}
    table = "/bigquery/v2/projects/shop-live/datasets/d/tables/t/insertAll"
    vendor.fail(f"{documents}/plans/gold", Fault(status=200, body=json.dumps(plan).encode()))
    vendor.fail("/token", Fault(status=200, body=b'{"access_token": "TOKEN", "expires_in": 3600}'))
    for path in (f"{documents}:commit", table, "/topic"):
        vendor.fail(path, Fault(status=200, body=b"{}"))
    account, keys = tmp_path / "account.json", tmp_path / "keys.json"
    key = {"private_key": key_pem(new_key(2048)).decode(), "private_key_id": "1"}
    account.write_text(json.dumps({**key, "client_email": "a@b.example", "token_uri": f"{vendor.url}/token"}))
    keys.write_text('{"keys": {"orders": "c2VjcmV0"}}')
    code = (
        CLOUD
        if has_account
        else CLOUD.replace("authorization: auth, ", "").replace("const auth", "// const auth")
    )
    source = template("TAG", code, URLS, EVENT, GOOGLE, fields=[text_field("url")])
    served = await serve(
        container({"Cloud": source}, tags=[tag("Cloud", url=f"{vendor.url}/topic")]),
        google_project="shop-live",
        google_credentials_file=str(account) if has_account else "",
        credentials=str(keys),
        firestore_url=vendor.url,
        bigquery_url=vendor.url,
    )
    await order(session, served, plan="gold")
    (row,) = await vendor.wait_for(1, table)
    (commit,) = await vendor.wait_for(1, f"{documents}:commit")
    (posted,) = await vendor.wait_for(1, "/topic")
    assert row.json()["rows"][0]["json"] == {"plan": "Gold"}
    (write,) = commit.json()["writes"]
    assert (write["update"]["fields"], write["updateMask"]) == (
        {"plan": {"stringValue": "Gold"}},
        {"fieldPaths": ["plan"]},
    )
    assert posted.body == b"plans/gold"
    # HMAC-SHA256("secret", "Gold") by openssl
    assert dict(posted.headers)["X-Signed"] == SIGNED_GOLD
    shown = [dict(one.headers).get("Authorization") for one in (row, commit, posted)]
    assert shown == (["Bearer TOKEN"] * 3 if has_account else [None] * 3)


# -- the ends of events --------------------------------------------------------------------------------

HEARER = """
const JSON = require('JSON'), send = require('sendHttpRequest');
require('addEventCallback')((id, event) => {
  const tags = event.tags.map(tag => tag.id + ' ' + tag.status + ' ' + typeof tag.executionTime);
  send(data.url, {method: 'POST'}, JSON.stringify(tags)).then(answer => {
    send(data.url + '/then', {method: 'POST'}, 'status ' + answer.statusCode);
  });
});
data.gtmOnSuccess();
"""
METADATA = {"read_event_metadata": {}}


async def test_a_tag_hears_what_all_tags_of_its_event_have_come_to_and_goes_on(serve, vendor, session):
    # status values success, failure, exception (google-runtime 4.9); tags that wait are waited for
    slow = "require('sendHttpRequest')(data.url).then(data.gtmOnSuccess, data.gtmOnFailure);"
    templates = {
        "Hearer": template("TAG", HEARER, URLS, METADATA, fields=[text_field("url")]),
        "Slow": template("TAG", slow, URLS, fields=[text_field("url")]),
        "Throws": template("TAG", "undefined.x;"),
        "Fails": template("TAG", "data.gtmOnFailure();"),
    }
    vendor.fail("/slow", Fault(status=200, latency_ms=150))
    vendor.fail("/end", Fault(status=202))
    tags = [tag("Hearer", url=f"{vendor.url}/end"), tag("Slow", url=f"{vendor.url}/slow")]
    served = await serve(container(templates, tags=[*tags, tag("Throws"), tag("Fails")]))
    await order(session, served)
    (then,) = await vendor.wait_for(1, "/end/then")
    assert then.body == b"status 202"
    told = next(one.json() for one in vendor.requests("/end") if one.path == "/end")
    assert sorted(told) == [
        "Fails failure number",
        "Hearer success number",
        "Slow success number",
        "Throws exception number",
    ]
    counters = served.worker.counters
    assert [counters.value("sgtm_tags_fired_total", name) for name in ("Hearer", "Slow")] == [1, 1]
    assert counters.value("sgtm_tags_failed_total", "Fails") == 1


async def test_a_client_hears_of_the_tags_of_each_of_its_events(serve, session):
    code = """
if (require('getRequestPath')() !== '/in') return;
require('claimRequest')();
const run = require('runContainer'), add = require('addEventCallback');
const told = [];
let left = 2;
const done = name => bind => {
  bind(add)((id, event) => {
    told.push(name + ': ' + event.tags.map(tag => tag.id).join());
    left = left - 1;
    if (left === 0) {
      require('setResponseBody')(told.join('; '));
      require('returnResponse')();
    }
  });
};
run({event_name: 'a'}, done('a'));
run({event_name: 'b'}, done('b'));
"""
    templates = {
        "Counter": template("CLIENT", code, CLIENT, METADATA),
        "Good": template("TAG", "data.gtmOnSuccess();"),
    }
    clients = [{"name": "C", "type": "Counter", "parameters": {}}]
    only_b = {"name": "b", "type": "custom_event", "event_names": ["b"]}
    tags = [tag("Good"), {**tag("Good"), "name": "Only b", "firing_triggers": ["b"]}]
    served = await serve(container(templates, clients=clients, tags=tags, triggers=[only_b]))
    async with session.get(f"{served.url}/in") as answer:
        assert await answer.text() == "a: Good; b: Good,Only b"


# -- the answer of a client that is no template ------------------------------------------------------------

GA4 = {"name": "GA4", "type": "ga4", "parameters": {"waits_for_tags": True}}
HIT = "/g/collect?v=2&tid=G-ABC&cid=5.6&en=page_view&dl=https%3A%2F%2Fa.example%2F"


async def test_a_tag_sets_status_headers_and_body_of_an_answer_that_waits_for_it(serve, vendor, session):
    # SPEC: sandbox-api 1.2 (client and tags); design, Response policy: after_tags
    code = """
require('sendHttpRequest')(data.url).then(answer => {
  require('setResponseStatus')(201);
  require('setResponseHeader')('Content-Type', 'application/json');
  require('setResponseBody')('{"vendor": ' + answer.statusCode + '}');
  data.gtmOnSuccess();
});
"""
    answering = {"access_response": {"writeResponseAccess": "any"}}
    source = template("TAG", code, URLS, answering, fields=[text_field("url")])
    vendor.fail("/v", Fault(status=202))
    served = await serve(
        container({"Teller": source}, clients=[GA4], tags=[tag("Teller", url=f"{vendor.url}/v")])
    )
    async with session.post(served.url + HIT) as answer:
        assert (answer.status, await answer.json()) == (201, {"vendor": 202})
        assert answer.headers["Cache-Control"] == "no-store"


async def test_the_browser_fetches_a_pixel_that_a_template_asks_for(serve, session):
    code = "data.gtmOnSuccess(require('sendPixelFromBrowser')('https://pixel.example/p?id=1'));"
    source = template("TAG", code, {"send_pixel_from_browser": {"allowedUrls": "any"}})
    served = await serve(container({"Pixel": source}, clients=[GA4], tags=[tag("Pixel")]))
    async with session.post(served.url + HIT + "&richsstsse") as answer:
        assert b'{"send_pixel":["https://pixel.example/p?id=1"]}' in await answer.read()
    async with session.post(served.url + HIT) as answer:
        assert await answer.read() == b""
