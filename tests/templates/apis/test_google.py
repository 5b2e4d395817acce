# ruff: noqa: E501 - one program, one line
"""Google's services by their REST interfaces, hits, signatures (SPEC: sandbox-api 1.1, 1.4, 1.5)."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from template_hosts import EVERYTHING, Ran, host_for, value_of, with_request

from sgtm.messages import GoogleServiceAccount
from sgtm.templates.host import Services

SERVICES = Services(
    project="shop-live",
    service_account="google",
    private_key={"key1": b"secret"}.get,
)
LOG = "const log = require('logToConsole'), fail = e => log('failed', e);"
FIRESTORE = LOG + "const store = require('Firestore');"
DOCUMENTS = "projects/shop-live/databases/(default)/documents"


def run(code, granted=EVERYTHING, services=SERVICES):
    return Ran(code, host_for("tag", granted, services=services))


# -- auth ----------------------------------------------------------------------------------------------


def test_a_service_account_is_named_and_its_token_goes_to_https_only():
    auth = "const auth = require('getGoogleAuth')({scopes: ['https://www.googleapis.com/auth/datastore']});"
    send = "require('sendHttpRequest')('%s://a.example/', {authorization: auth}, 'x')"
    (request,) = run(auth + send % "https").host.requests
    made_by = GoogleServiceAccount("google", "https://www.googleapis.com/auth/datastore")
    assert (request.credential.name, request.credential.made_by) == ("google", made_by)
    assert (request.credential.key, request.credential.prefix, request.headers) == (
        "Authorization",
        "Bearer ",
        (),
    )
    granted = EVERYTHING | {"send_http": {"allowedUrls": "specific", "urls": ["http://a.example/"]}}
    with pytest.raises(Exception, match="https addresses only"):
        run(auth + send % "http", granted)


def test_a_template_sees_nothing_of_a_credential():
    code = (
        "const auth = require('getGoogleAuth')({scopes: ['https://www.googleapis.com/auth/bigquery']});"
        "return [auth.credential, auth.name, require('JSON').stringify(auth), require('makeString')(auth), typeof auth]"
    )
    assert str(run(code).value) == "[UNSET, UNSET, '{}', '[object GoogleAuth]', 'object']"


@pytest.mark.parametrize(
    ("code", "services", "match"),
    [
        (
            "require('getGoogleAuth')({scopes: ['https://www.googleapis.com/auth/drive']})",
            SERVICES,
            "auth/drive",
        ),
        ("require('getGoogleAuth')({})", SERVICES, "use_google_credentials"),
        (
            "require('getGoogleAuth')({scopes: ['https://www.googleapis.com/auth/bigquery']})",
            Services(),
            "no service account",
        ),
        (
            "require('sendHttpRequest')('https://a.example/', {authorization: 'Bearer x'})",
            SERVICES,
            "getGoogleAuth",
        ),
    ],
)
def test_what_a_template_may_not_show(code, services, match):
    with pytest.raises(Exception, match=match):
        run(code, services=services)


# -- Firestore -----------------------------------------------------------------------------------------


def test_a_document_is_read():
    ran = run(FIRESTORE + "store.read('customers/ä 7').then(d => log(d.id, d.data), fail)")
    answer = {
        "name": f"{DOCUMENTS}/customers/ä 7",
        "fields": {"n": {"integerValue": "7"}, "list": {"arrayValue": {"values": [{"nullValue": None}]}}},
    }
    ask = ran.answer(200, json.dumps(answer).encode())
    assert (ask.request.method, ask.request.url) == (
        "GET",
        f"https://firestore.googleapis.com/v1/{DOCUMENTS}/customers/%C3%A4%207",
    )
    assert ask.request.credential.made_by.scope == "https://www.googleapis.com/auth/datastore"
    assert ran.host.log == ['customers/ä 7 {"n":7,"list":[null]}']


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, b'{"error": {"status": "NOT_FOUND"}}', "not_found"),  # rejects if absent [D]
        (403, b'{"error": {"status": "PERMISSION_DENIED", "message": "secret"}}', "permission_denied"),
        (500, b"<html>", "http_500"),
        (200, b"[]", "failed"),
        (200, b'{"name": "x", "fields": {"a": {"strange": 1}}}', "failed"),
    ],
)
def test_a_document_that_is_not_there_rejects_the_promise(status, body, reason):
    ran = run(FIRESTORE + "store.read('a/b').then(log, fail)")
    ran.answer(status, body)
    assert ran.host.log == [f'failed {{"reason":"{reason}"}}']


def test_a_query_has_conditions_and_a_limit():
    ran = run(
        FIRESTORE
        + "store.query('shops/1/orders', [['total.eur', '>=', 10], ['paid', '==', true]], {limit: 2})"
        ".then(all => log(all.length, all[0].id), fail)"
    )
    body = [{"document": {"name": f"{DOCUMENTS}/shops/1/orders/x", "fields": {}}}, {"readTime": "now"}]
    request = ran.answer(200, json.dumps(body).encode()).request
    assert request.url.endswith("/documents/shops/1:runQuery")
    query = json.loads(request.body)["structuredQuery"]
    assert (query["from"], query["limit"]) == ([{"collectionId": "orders"}], 2)
    filters = [one["fieldFilter"] for one in query["where"]["compositeFilter"]["filters"]]
    assert filters[0] == {
        "field": {"fieldPath": "total.eur"},
        "op": "GREATER_THAN_OR_EQUAL",
        "value": {"integerValue": "10"},
    }
    assert ran.host.log == ["1 shops/1/orders/x"]


def test_a_query_that_finds_nothing_gives_an_empty_array_of_5_at_most():
    ran = run(FIRESTORE + "store.query('orders', []).then(all => log(all), fail)")
    assert (
        json.loads(ran.answer(200, b'[{"readTime": "x"}]').request.body)["structuredQuery"]["limit"] == 5
    )  # [D]
    assert ran.host.log == ["[]"]


def test_a_write_that_nobody_waits_for_goes_through_the_lanes():
    ran = run(FIRESTORE + "store.write('a/b', {n: 1.5, o: {'k-1': [true]}, e: {}}, {merge: true})")
    (request,) = ran.host.requests
    (write,) = json.loads(request.body)["writes"]
    assert request.url == f"https://firestore.googleapis.com/v1/{DOCUMENTS}:commit"
    assert write["update"]["name"] == f"{DOCUMENTS}/a/b"
    assert write["update"]["fields"]["n"] == {"doubleValue": 1.5}
    assert write["updateMask"] == {"fieldPaths": ["n", "o.`k-1`", "e"]}


def test_a_write_to_a_collection_makes_a_document_whose_id_is_always_the_same_for_a_request():
    code = FIRESTORE + "store.write('a', {n: 1}).then(log, fail)"
    first, again = run(code), run(code)
    assert first.answer(200, b"{}").request == again.answer(200, b"{}").request
    (path,) = first.host.log
    assert (path[:2], len(path)) == ("a/", 22)
    assert (
        "updateMask" not in json.loads(run(code).take().request.body)["writes"][0]
    )  # merge false overrides [D]


TRANSACTION = FIRESTORE + (
    "store.runTransaction(t => store.read('a/b', {transaction: t}).then(d => {"
    "  store.write('a/b', {n: d.data.n + 1}, {transaction: t}); return store.write('a/c', {}, {transaction: t}); }))"
    ".then(ids => log(ids), fail)"
)
READ = json.dumps({"name": f"{DOCUMENTS}/a/b", "fields": {"n": {"integerValue": "1"}}}).encode()


def test_a_transaction_reads_then_commits_what_was_written():
    ran = run(TRANSACTION)
    assert ran.answer(200, b'{"transaction": "dA=="}').request.url.endswith(":beginTransaction")
    assert ran.answer(200, READ).request.url.endswith("a/b?transaction=dA%3D%3D")
    commit = json.loads(ran.answer(200, b"{}").request.body)
    assert commit["transaction"] == "dA=="
    assert [one["update"]["name"][len(DOCUMENTS) :] for one in commit["writes"]] == ["/a/b", "/a/c"]
    assert commit["writes"][0]["update"]["fields"] == {"n": {"integerValue": "2"}}
    assert ran.host.log == ['["a/b","a/c"]']


def test_a_transaction_that_others_were_in_the_way_of_is_tried_twice_more():
    # transaction retried twice [D]
    ran = run(TRANSACTION)
    for number in range(3):
        begin = ran.answer(200, b'{"transaction": "t%d"}' % number).request
        ran.answer(200, READ)
        ran.answer(409, b'{"error": {"status": "ABORTED"}}')
    assert json.loads(begin.body)["options"]["readWrite"]["retryTransaction"] == "t1"
    assert ran.host.log == ['failed {"reason":"aborted"}']
    assert ran.host.asks == []


@pytest.mark.parametrize(
    ("code", "log"),
    [
        ("store.runTransaction(t => undefined.x).then(log, fail)", "failed"),
        (
            "store.runTransaction(t => require('Promise').create((a, b) => b('no'))).then(log, fail)",
            "failed no",
        ),
    ],
)
def test_a_transaction_that_goes_wrong_writes_nothing(code, log):
    ran = run(FIRESTORE + code)
    ran.answer(200, b'{"transaction": "t"}')
    assert ran.host.log[0].startswith(log)
    assert ran.host.asks == ran.host.requests == []


def test_a_transaction_that_is_over_takes_no_more_writes():
    with pytest.raises(Exception, match="no such transaction"):
        run(FIRESTORE + "store.write('a/b', {}, {transaction: 'gone'})")


@pytest.mark.parametrize("path", ["a/../b/c", "a//b", "", "./a", "a/b/.."])
def test_a_path_names_every_step(path):
    # reliability 4.3, 31
    with pytest.raises(Exception, match="names between its slashes"):
        run(FIRESTORE + f"store.write('{path}', {{}})")


@pytest.mark.parametrize(
    ("row", "call", "allowed"),
    [
        ({"projectId": "*", "path": "shops/*", "operation": "read"}, "read('shops/1')", True),
        ({"projectId": "*", "path": "shops/*", "operation": "read"}, "read('users/1')", False),
        ({"projectId": "*", "path": "shops/*", "operation": "read"}, "write('shops/1', {})", False),
        (
            {"projectId": "GOOGLE_CLOUD_PROJECT", "path": "*", "operation": "read_write"},
            "write('a/b', {})",
            True,
        ),
        ({"projectId": "shop-live", "path": "*", "operation": "write"}, "write('a/b', {})", True),
        (
            {"projectId": "GOOGLE_CLOUD_PROJECT", "path": "*", "operation": "write"},
            "write('a/b', {}, {projectId: 'other'})",
            False,
        ),
        (
            {"projectId": "other", "path": "*", "operation": "write"},
            "write('a/b', {}, {projectId: 'other'})",
            True,
        ),
    ],
)
def test_a_permission_names_project_path_and_operation(row, call, allowed):
    granted = {"access_firestore": {"allowedOptions": [row]}}
    if allowed:
        run(f"require('Firestore').{call}", granted)
    else:
        with pytest.raises(Exception, match="its permission access_firestore does not allow it"):
            run(f"require('Firestore').{call}", granted)


def test_without_a_project_nothing_is_found():
    with pytest.raises(Exception, match="no projectId"):
        run("require('Firestore').read('a/b')", services=Services())


# -- BigQuery ------------------------------------------------------------------------------------------

INSERT = (
    LOG + "const insert = require('BigQuery').insert, table = {projectId: 'p', datasetId: 'd', tableId: 't'};"
)


def test_rows_are_inserted_and_a_second_copy_is_known():
    code = INSERT + "insert(table, [{a: 1, u: undefined}, {b: [2]}], {ignoreUnknownValues: true})"
    (request,) = run(code).host.requests
    assert (
        request.url == "https://bigquery.googleapis.com/bigquery/v2/projects/p/datasets/d/tables/t/insertAll"
    )
    body = json.loads(request.body)
    assert (body["ignoreUnknownValues"], body["skipInvalidRows"]) == (True, False)
    assert [row["json"] for row in body["rows"]] == [{"a": 1}, {"b": [2]}]
    assert len({row["insertId"] for row in body["rows"]}) == 2
    assert run(code).host.requests == [request]


@pytest.mark.parametrize(
    ("waits", "status", "body", "log"),
    [
        (".then(() => log('in'), fail)", 200, b"{}", "in"),
        (".then(() => log('in'), fail)", 200, b'{"insertErrors": [{}]}', 'failed {"reason":"rows_refused"}'),
        (
            ".catch(fail)",
            403,
            b'{"error": {"status": "PERMISSION_DENIED"}}',
            'failed {"reason":"permission_denied"}',
        ),
    ],
)
def test_a_promise_tells_what_became_of_rows(waits, status, body, log):
    ran = run(INSERT + "insert(table, [{a: 1}])" + waits)
    ran.answer(status, body)
    assert ran.host.log == [log]


def test_the_old_form_of_insert_has_callbacks():
    ran = run(INSERT + "insert(table, [{a: 1}], {}, () => log('in'), fail)")
    ran.answer(200, b"{}")
    assert ran.host.log == ["in"]


# -- scripts, analytics --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        ("'GTAG', {id: 'G-1'}", "https://www.googletagmanager.com/gtag/js?id=G-1"),
        ("'GTM', {id: 'GTM-1'}", "https://www.googletagmanager.com/gtm.js?id=GTM-1"),
        ("'ANALYTICS'", "https://www.google-analytics.com/analytics.js"),
    ],
)
def test_scripts_of_google(arguments, url):
    ran = run(LOG + f"require('getGoogleScript')({arguments}).then(r => log(r.script, r.metadata), fail)")
    assert ran.answer(200, b"code", (("cache-control", "max-age=9"),)).request.url == url
    assert ran.host.log == ['code {"cache-control":"max-age=9"}']


def test_google_domains_may_be_allowed_as_such():
    granted = {"send_http": {"allowedUrls": "specific", "urls": [], "allowGoogleDomains": True}}
    run("require('getGoogleScript')('GTM')", granted)
    with pytest.raises(Exception, match="send_http"):
        run("require('sendHttpGet')('https://google.com.evil.example/')", granted)


def test_an_event_is_sent_to_analytics_without_readable_user_data():
    ran = run(
        LOG
        + "require('sendEventToGoogleAnalytics')({event_name: 'x', 'x-ga-measurement_id': 'G-1', client_id: '5.6',"
        "user_data: {email_address: 'a@b.example'}, value: 2}).then(r => log(r), fail)"
    )
    request = ran.answer(302, b"", (("location", "https://next.example/"),)).request
    query = parse_qs(urlsplit(request.url).query)
    assert (query["v"], query["tid"], query["cid"], query["en"]) == (["2"], ["G-1"], ["5.6"], ["x"])
    assert "b.example" not in request.url
    assert ran.host.log == ['{"location":"https://next.example/"}']


# -- hits ----------------------------------------------------------------------------------------------


def mpv(query, code):
    request = with_request(path="/collect", query=query, body=b"")
    return Ran(code, host_for("client", request=request)).value


def test_hits_are_told_apart():
    code = "return [require('isRequestMpv1')(), require('isRequestMpv2')()]"
    assert mpv(b"v=1&tid=UA-1-1&cid=5&t=pageview", code) == [True, False]
    assert mpv(b"v=2&tid=G-1&cid=5&en=x", code) == [False, True]
    assert mpv(b"a=1", code) == [False, False]


def test_events_of_hits():
    (event,) = mpv(b"v=2&tid=G-1&cid=5.6&en=x&epn.value=2.50", "return require('extractEventsFromMpv2')()")
    assert (event["event_name"], event["client_id"], event["value"]) == ("x", "5.6", 2.5)
    (event,) = mpv(b"v=1&tid=UA-1-1&cid=5.6&t=pageview", "return require('extractEventsFromMpv1')()")
    assert (event["event_name"], event["client_id"]) == ("page_view", "5.6")


@pytest.mark.parametrize("version", ["1", "2"])
def test_what_is_no_hit_throws(version):
    # throw on a request of the wrong form [D]
    with pytest.raises(Exception, match="no such hit"):
        mpv(b"a=1", f"require('extractEventsFromMpv{version}')()")


# -- signatures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # HMAC-SHA256("secret", "data") by openssl dgst -sha256 -hmac secret
        ("", "GywWt1vSqHDBFBU8zaW8_KYzFLxyL6Fg1pDeEzzLuds"),
        (", {outputEncoding: 'hex'}", "1b2c16b75bd2a870c114153ccda5bcfca63314bc722fa160d690de133ccbb9db"),
    ],
)
def test_signatures(options, expected):
    assert run(f"return require('hmacSha256')('data', 'key1'{options})").value == expected


def test_a_key_that_is_not_there_or_not_allowed():
    with pytest.raises(Exception, match="no key 'key1'"):
        run("require('hmacSha256')('data', 'key1')", services=Services())
    with pytest.raises(Exception, match="use_custom_private_keys"):
        run("require('hmacSha256')('data', 'key2')")
    assert value_of("return require('queryPermission')('use_custom_private_keys', 'key1')") is True
