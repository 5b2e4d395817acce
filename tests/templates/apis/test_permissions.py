# ruff: noqa: E501 - one program, one line
"""Permissions at the call, and what patterns of addresses cover (SPEC: sandbox-api 2, google-runtime 5.4)."""

import pytest
from template_hosts import EVERYTHING, Ran, host_for, permissions

from sgtm.templates.apis import DECLARED
from sgtm.templates.permissions import url_allowed

CALLS = {
    "getRequestHeader": "('authorization')",
    "getRequestQueryParameter": "('email')",
    "getEventData": "('user_data.email')",
    "getCookieValues": "('_ga')",
    "setCookie": "('_ga', 'secret-value')",
    "setResponseStatus": "(200)",
    "setResponseHeader": "('x-a', 'secret-value')",
    "setResponseBody": "('secret-value')",
    "sendHttpRequest": "('https://v.example/path?email=secret-value', {}, 'secret-value')",
    "sendHttpGet": "('https://user:secret-value@v.example/path?email=secret-value#secret-value')",
    "sendPixelFromBrowser": "('https://v.example/path?secret-value')",
    "getGoogleScript": "('GTM')",
    "sendEventToGoogleAnalytics": "({event_name: 'secret-value'})",
    "addMessageListener": "('type', () => 1)",
    "hasMessageListener": "('type')",
    "sendMessage": "('type', {a: 'secret-value'})",
    "getGoogleAuth": "({scopes: ['https://www.googleapis.com/auth/bigquery']})",
    "BigQuery.insert": "({projectId: 'p', datasetId: 'd', tableId: 't'}, [{a: 'secret-value'}])",
    "Firestore.read": "('a/b', {projectId: 'p'})",
    "Firestore.write": "('a/b', {a: 'secret-value'}, {projectId: 'p'})",
    "Firestore.query": "('a', [['k', '==', 'secret-value']], {projectId: 'p'})",
    "Firestore.runTransaction": "(() => 1, {projectId: 'p'})",
    "hmacSha256": "('secret-value', 'key1')",
    "addEventCallback": "(() => 1)",
    "runContainer": "({a: 'secret-value'})",
    "templateDataStorage.setItemCopy": "('k', 'secret-value')",
}
SHOWN = {
    "getRequestHeader": "header authorization",
    "getEventData": "user_data.email",
    "setCookie": "cookie _ga",
    "sendHttpRequest": "https://v.example/path",
    "sendHttpGet": "https://v.example/path",
    "sendMessage": "messages of type type",
    "Firestore.write": "write p/a/b",
    "BigQuery.insert": "write p/d/t",
    "hmacSha256": "key key1",
}


@pytest.mark.parametrize(
    "api", [api for api in DECLARED.values() if api.permission], ids=lambda api: api.name
)
def test_without_its_permission_an_api_does_nothing_and_says_why(api):
    owner, _, method = api.name.partition(".")
    host = host_for(api.kinds[0], {name: one for name, one in EVERYTHING.items() if name != api.permission})
    called = f"require('{owner}'){'.' + method if method else ''}{CALLS.get(api.name, '()')}"
    if api.permission == "logging":  # the one that is silent (google-runtime 5.4)
        return
    with pytest.raises(Exception) as caught:
        Ran(called, host)
    error = str(caught.value)
    assert api.name in error
    assert f"{host.kind} 'T'" in error
    assert api.permission in error
    assert SHOWN.get(api.name, "") in error
    assert "secret-value" not in error
    assert host.requests == host.asks == host.pixels == host.events == []
    assert host.response.headers == host.response.cookies == []
    # and a template can catch it
    assert (
        Ran(f"try {{ {called}; }} catch (e) {{ return 'caught'; }}", host_for(api.kinds[0], {})).value
        == "caught"
    )


@pytest.mark.parametrize(
    ("granted", "code", "allowed"),
    [
        ({"read_event_data": {"keyPatterns": ["user_data.*"]}}, "getEventData')('user_data')", True),
        ({"read_event_data": {"keyPatterns": ["user_data.*"]}}, "getEventData')('user_data.email')", True),
        ({"read_event_data": {"keyPatterns": ["user_data.*"]}}, "getEventData')('user_datax')", False),
        ({"read_event_data": {"keyPatterns": ["value"]}}, "getAllEventData')()", False),
        ({"get_cookies": {"cookieAccess": "specific", "cookieNames": ["_ga"]}}, "getCookieValues')('_ga')", True),
        ({"get_cookies": {"cookieAccess": "specific", "cookieNames": ["_ga"]}}, "getCookieValues')('_gab')", False),
        (
            {"read_request": {"headersAllowed": True, "headerAccess": "specific", "headerWhitelist": [{"headerName": "X-A"}]}},
            "getRequestHeader')('x-a')",
            True,
        ),
        (
            {"read_request": {"headersAllowed": True, "headerAccess": "specific", "headerWhitelist": [{"headerName": "X-A"}]}},
            "getRequestHeader')('cookie')",
            False,
        ),
        ({"read_request": {"requestAccess": "specific", "pathAllowed": True}}, "getRequestBody')()", False),
        ({"read_request": {"requestAccess": "specific", "pathAllowed": True}}, "getRequestMethod')()", True),
        ({"read_request": {"requestAccess": "specific", "queryParametersAllowed": True, "queryParameterAccess": "any"}}, "getRequestQueryString')()", True),
        ({"access_response": {"writeResponseAccess": "specific", "writeStatusAllowed": True}}, "setResponseStatus')(200)", True),
        ({"access_response": {"writeResponseAccess": "specific", "writeStatusAllowed": True}}, "setResponseBody')('')", False),
        ({"access_response": {"writeResponseAccess": "specific", "writeStatusAllowed": True}}, "setPixelResponse')()", False),
        ({"set_cookies": {"allowedCookies": [{"name": "a", "session": "session"}]}}, "setCookie')('a', 'b')", True),
        ({"set_cookies": {"allowedCookies": [{"name": "a", "session": "session"}]}}, "setCookie')('a', 'b', {'max-age': 1})", False),
        ({"set_cookies": {"allowedCookies": [{"name": "a", "secure": "secure"}]}}, "setCookie')('a', 'b')", False),
        ({"set_cookies": {"allowedCookies": [{"name": "a", "secure": "secure"}]}}, "setCookie')('a', 'b', {secure: true})", True),
        ({"use_message": {"allowedActions": "specific", "messageTypes": [{"type": "t", "action": "listen"}]}}, "hasMessageListener')('t')", True),
        ({"use_message": {"allowedActions": "specific", "messageTypes": [{"type": "t", "action": "listen"}]}}, "sendMessage')('t', {})", False),
        ({"use_message": {"allowedActions": "specific", "messageTypes": [{"type": "t", "action": "listen_and_send"}]}}, "sendMessage')('t', {})", True),
    ],
)  # fmt: skip
def test_rules_of_permissions(granted, code, allowed):
    if allowed:
        Ran(f"require('{code}", host_for("tag", granted))
    else:
        with pytest.raises(Exception, match="does not allow it"):
            Ran(f"require('{code}", host_for("tag", granted))


@pytest.mark.parametrize(
    ("pattern", "url", "allowed"),
    [
        # a pattern that ends in / allows everything below it (sandbox-api 2, [C])
        ("https://graph.facebook.com/", "https://graph.facebook.com/v18.0/1/events?access_token=x", True),
        ("https://www.google-analytics.com/mp/", "https://www.google-analytics.com/mp/collect?a=1", True),
        ("https://www.google-analytics.com/mp/", "https://www.google-analytics.com/g/collect", False),
        ("https://*.stape.io/*", "https://a.b.stape.io/x", True),
        ("https://v.example/ipgeo?*", "https://v.example/ipgeo?key=1", True),
        ("https://v.example/x", "https://v.example/x?y=1", True),  # the whole URL without its query
        ("https://v.example/x", "https://v.example/xy", False),
        ("https://V.example/x", "https://v.EXAMPLE/x", True),
        ("https://v.example", "https://v.example/", True),
        ("https://v.example", "https://v.example/x", False),
        ("https://*", "https://any.example/x?y", True),
        ("*", "https://any.example/x", True),
        ("http://10.0.0.1:81/", "http://10.0.0.1:81/x", True),
        # reliability 4.3, 21: userinfo, port, scheme, trailing dot, IDN, backslash, and texts that look like a host
        ("https://*.stape.io/*", "https://evil.example/.stape.io/x", False),
        ("https://*.stape.io/*", "https://evil.example?.stape.io/x", False),
        ("https://*.stape.io/*", "https://evil.example#.stape.io/x", False),
        ("https://*.stape.io/*", "https://x.stape.io@evil.example/", False),
        ("https://v.example/", "https://v.example@evil.example/", False),
        ("https://v.example/", "https://v.example:444/", False),
        ("https://v.example/", "https://v.example:443/", True),
        ("https://v.example/", "http://v.example/", False),
        ("https://v.example/", "https://v.example.evil.example/", False),
        ("https://v.example/", "https://v.example./", False),
        ("https://v.example/", "https://evil.example\\@v.example/", False),
        ("https://v.example/", "https://v\u3002example/", True),  # what the sender reads as v.example
        ("https://v.example/a/", "https://v.example/a/../b", False),
        ("https://v.example/a/", "https://v.example/a/%2e%2e/b", False),
        ("https://v.example/", "https://v.example/" + "x" * 9000, False),
    ],
)
def test_patterns_of_addresses(pattern, url, allowed):
    assert url_allowed([pattern], url) is allowed


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://v.example/", True),
        ("http://127.0.0.1:81/", True),
        ("http://v.example/", False),
        ("http://10.0.0.1/", False),
        ("ftp://v.example/", False),
        ("https://u:p@v.example/", False),
    ],
)
def test_any_address_is_one_of_https(url, allowed):
    # google-runtime 5.4; plain http on this machine alone
    assert permissions({"send_http": {"allowedUrls": "any"}}).allows("send_http", url) is allowed


def test_every_permission_has_a_rule_or_none_at_all():
    # configured without parameters, a permission that has a rule allows nothing
    bare = permissions({name: {} for name in EVERYTHING})
    allowed = {name for name in EVERYTHING if bare.allows(name)}
    assert allowed == {
        *("logging", "read_container_data", "read_event_metadata", "run_container", "return_response"),
        "access_template_storage",
    }
