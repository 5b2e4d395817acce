# ruff: noqa: E501 - one program, one line
"""The answer as templates make it (SPEC: sandbox-api 1.2)."""

import pytest
from template_hosts import EVENT, Ran, host_for, with_request

from sgtm.cookies import set_cookie_header


def response_of(code, **changes):
    return Ran(code, host_for("client", **changes)).host.response


def cookie_of(arguments, **changes):
    host = Ran(f"require('setCookie')({arguments})", host_for(**changes)).host
    (cookie,) = host.response.cookies
    return set_cookie_header(cookie, host.request.host)


def test_status_headers_and_body():
    response = response_of(
        "const set = require('setResponseHeader'); require('setResponseStatus')(201); set('X-A', 1);"
        "set('x-b', 'gone'); set('x-B', null); set('x-a', 'zwö'); require('setResponseBody')('bödy')"
    )
    # name lower-cased; overwrites; null clears [D]
    assert (response.status, response.headers, response.body) == (201, [("x-a", "zwö")], "bödy".encode())
    assert not response.is_returned


@pytest.mark.parametrize(
    ("text", "encoding", "body"),
    [
        ("hä", "utf8", b"h\xc3\xa4"),
        ("hä", "latin1", b"h\xe4"),
        ("hä", "binary", b"h\xe4"),
        ("hi", "ascii", b"hi"),
        ("hi", "utf16le", b"h\0i\0"),
        ("hi", "ucs2", b"h\0i\0"),
        ("aGk", "base64", b"hi"),
        ("6869", "hex", b"hi"),
        ("zz", "hex", b""),
    ],
)
def test_encodings_of_the_body(text, encoding, body):
    # ascii, utf8, utf16le, ucs2, base64, latin1, binary, hex [D]
    assert response_of(f"require('setResponseBody')('{text}', '{encoding}')").body == body


def test_a_pixel_is_an_image_that_nobody_caches():
    response = response_of("require('setPixelResponse')()")
    assert response.status == 200
    assert response.body.startswith(b"GIF89a")
    assert dict(response.headers)["content-type"] == "image/gif"  # [D]
    assert "no-store" in dict(response.headers)["cache-control"]


def test_what_comes_after_the_answer_changes_nothing():
    response = response_of(
        "require('setResponseBody')('a'); require('returnResponse')(); require('setResponseBody')('b');"
        "require('setResponseStatus')(500); require('setCookie')('c', 'd'); require('returnResponse')()"
    )
    assert (response.is_returned, response.body, response.status, response.cookies) == (True, b"a", 0, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x a", "1"),
        ("x-a", "1\\r\\nx-b: 2"),
        ("x-a", "1\\0"),
        ("set-cookie", "a=b"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
    ],
)
def test_headers_that_cannot_stand_in_an_answer_are_left_out_and_the_console_says_so(name, value):
    # reliability 4.3, 22
    host = Ran(f"require('setResponseHeader')('{name}', '{value}')", host_for("client")).host
    assert host.response.headers == []
    assert "left out" in host.log[0]


@pytest.mark.parametrize("code", ["99", "600", "'x'", "", "200.5", "null"])
def test_a_status_is_a_whole_number_from_200_to_599(code):
    with pytest.raises(Exception, match="argument error in setResponseStatus"):
        response_of(f"require('setResponseStatus')({code})")


# -- cookies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "header"),
    [
        ("'a', 'b'", "a=b; Path=/"),  # neither max-age nor expires: the session's
        ("'a', 'b c;é'", "a=b%20c%3B%C3%A9; Path=/"),
        ("'a', 'b%20c', {}, true", "a=b%20c; Path=/"),  # noEncode
        (
            "'a', 'b', {domain: 'auto', path: '/x', secure: true, httpOnly: true, sameSite: 'none', 'max-age': 60}",
            "a=b; Max-Age=60; Domain=shop.example; Path=/x; Secure; HttpOnly; SameSite=None",
        ),
        ("'a', 'b', {samesite: 'Lax'}", "a=b; Path=/; SameSite=Lax"),  # spelt `samesite` too [C]
        ("'a', 'b', {'max-age': '60', expires: 'Wed, 15 Nov 2023 22:13:20 GMT'}", "a=b; Max-Age=60; Path=/"),
        ("'a', 'b', {expires: 'Wed, 15 Nov 2023 22:13:20 GMT'}", "a=b; Max-Age=86400; Path=/"),
        ("'a', '', {'max-age': 0}", "a=; Max-Age=0; Path=/"),
        ("'a', 'b', {'max-age': 1e12}", "a=b; Max-Age=34560000; Path=/"),
        ("'a', 'b', {domain: 'auto', fallbackDomain: 'x.example'}", "a=b; Domain=shop.example; Path=/"),
    ],
)
def test_options_of_a_cookie(arguments, header):
    assert cookie_of(arguments) == header


def test_a_fallback_domain_takes_the_place_of_a_domain_that_the_host_does_not_tell():
    request = with_request(host="localhost")
    assert cookie_of("'a', 'b', {domain: 'auto'}", request=request) == "a=b; Path=/"


def test_cookies_of_one_name_are_all_sent():
    host = Ran("const set = require('setCookie'); set('a', '1'); set('a', '2')").host
    assert [one.value for one in host.response.cookies] == ["1", "2"]  # repeated cookies are all sent


@pytest.mark.parametrize(
    "arguments",
    [
        "'a b', 'c'",
        "'a', 'b;c', {}, true",
        "'a', 'b\\r\\nc', {}, true",
        "'a', 'b', {domain: 'other.example'}",
        "'a', 'b', {domain: 'example'}",
        "'a', 'b', {path: '/x;y'}",
        "'__Host-a', 'b', {domain: 'shop.example', secure: true}",
    ],
)
def test_a_cookie_that_no_browser_would_keep_is_left_out_and_the_console_says_so(arguments):
    host = Ran(f"require('setCookie')({arguments})").host
    assert host.response.cookies == []
    assert "setCookie: left out" in host.log[0]


# -- the browser's own requests ------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "expected"), [({**EVENT, "x-ga-mp2-richsstsse": ""}, True), (EVENT, False)])
def test_a_pixel_goes_to_browsers_that_said_that_they_read_commands(data, expected):
    # false when the request's protocol has no such command [D]
    ran = Ran("return require('sendPixelFromBrowser')('https://v.example/p')", host_for(data=data))
    assert ran.value is expected
    assert ran.host.pixels == (["https://v.example/p"] if expected else [])


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("for (let i = 0; i < 1e4; i++) require('setResponseHeader')('x-' + i, i)", "response_headers"),
        ("while (true) require('setCookie')('a', 'b')", "response_cookies"),
        ("while (true) require('sendPixelFromBrowser')('https://v.example/')", "pixels"),
        ("let s = 'x'; while (true) { s = s + s; require('setResponseBody')(s); }", "text_length"),
    ],
)
def test_an_answer_has_bounds(code, limit):
    # reliability 4.3, 22 and 27
    with pytest.raises(Exception, match="line 1") as caught:
        Ran(code, host_for(data={**EVENT, "x-ga-mp2-richsstsse": ""}))
    assert caught.value.limit == limit
