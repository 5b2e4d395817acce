"""Compiled APIs say what plain Python says, and remember nothing that changes what they do."""

import base64
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from template_hosts import EVERYTHING, host_for, with_request

from sgtm._fast.sandbox_json import stringify as stringify_value
from sgtm._fast.sandbox_values import SandboxError
from sgtm.cookies import read_cookies
from sgtm.event import read_key_path
from sgtm.templates.apis import table_for
from sgtm.templates.host import Host
from sgtm.templates.script import Limits

TABLE = table_for("tag")
texts = st.text(st.sampled_from("aZ09-_.!~*'();/?:@&=+$,# %\"<>\\^`{|}é中𝄞\ud800\x00"), max_size=20)


def called(name: str, *args: Any, host: Host | None = None) -> Any:
    """What an API gives, or its error."""
    run = Limits().start()
    run.host = host or host_for()
    try:
        return TABLE[name](run, *args)
    except SandboxError as error:
        return str(error)


def plainly(function: Any) -> Any:
    try:
        return function()
    except UnicodeError:
        return UNSET


@given(texts)
def test_texts_are_encoded_as_python_encodes_them(text):
    safe = "-_.!~*'()"  # SPEC: sandbox-api 1.5: as encodeURIComponent, encodeURI
    assert called("encodeUriComponent", text) == plainly(lambda: quote(text, safe=safe))
    assert called("encodeUri", text) == plainly(lambda: quote(text, safe=safe + ";/?:@&=+$,#"))
    plain = base64.b64encode(text.encode("utf-8", "replace")).decode()
    assert called("toBase64", text) == plain
    signs = str.maketrans("+/", "-_")
    assert called("toBase64", text, {"urlEncoding": True}) == plain.translate(signs).rstrip("=")


@given(
    header=st.binary(max_size=60) | st.just(b"a=1; b=%C3%B6; a=%ff;a= x ;A=2; =3; c"),
    name=st.sampled_from(["a", "b", "A", "", "c", "ö"]),
)
def test_cookies_are_read_as_the_house_reads_them(header, name):
    request = with_request(headers=((b"cookie", header), (b"x", b"1"), (b"cookie", b"a=3; b=4")))
    plain = read_cookies(request, name)
    assert called("getCookieValues", name, True, host=host_for(request=request)) == plain
    decoded = [plainly(lambda value=value: unquote(value, errors="strict")) for value in plain]
    expected = [value if text is UNSET else text for value, text in zip(plain, decoded, strict=True)]
    assert called("getCookieValues", name, host=host_for(request=request)) == expected


@given(path=st.sampled_from(["a", "a.b", "b.0", "b.1.c", "a.b.c", "", ".", "d.e", "n", "u"]))
def test_key_paths_are_read_as_everywhere(path):
    data = {"a": {"b": 1, "c": {}}, "b": [{"c": 2.0}, {"c": 3.5}], "d.e": "x", "n": None, "": 4}
    assert called("getEventData", path, host=host_for(data=data)) == read_key_path(data, path)


OPTIONS = st.dictionaries(
    st.sampled_from(["domain", "Domain", "path", "max-age", "expires", "secure", "HttpOnly", "sameSite"]),
    st.sampled_from(
        ["auto", "shop.example", "other.example", "/", "/x", "no path", "", "7", 7, 1, 0, True, False, None]
        + ["true", "false", "Lax", "none", 1.5, [1], UNSET, "Thu, 01 Jan 2099 00:00:00 GMT"]
    ),
    max_size=5,
)


@settings(max_examples=200)
@given(name=st.sampled_from(["c", "__Host-c", "b d"]), options=st.lists(OPTIONS, max_size=4), value=texts)
@example(name="c", options=[{"secure": True}, {"secure": 1}, {"secure": "1"}], value="v")
@example(name="c", options=[{"max-age": 1}, {"max-age": True}, {"max-age": "1"}], value="v")
def test_a_cookie_that_is_set_again_is_what_it_would_be_alone(name, options, value):
    together = host_for()
    for one in options:
        called("setCookie", name, "first", one, host=together)
    for one in options:
        alone = host_for()
        before = len(together.response.cookies)
        said = called("setCookie", name, value, one, host=alone)
        assert called("setCookie", name, value, one, host=together) == said
        assert together.response.cookies[before:] == alone.response.cookies


def test_too_many_and_too_large_cookies_stay_out_when_their_options_are_known():
    host = host_for()
    for _ in range(50):
        called("setCookie", "c", "v", {}, host=host)
    assert "50" in called("setCookie", "c", "v", {}, host=host)
    host.response.cookies.clear()
    called("setCookie", "c", "v" * 4_095, {}, host=host)
    called("setCookie", "c", "v" * 4_096, {}, host=host)
    assert [len(cookie.value) for cookie in host.response.cookies] == [4_095]


@pytest.mark.parametrize(
    ("permission", "parameters", "api", "allowed", "refused"),
    [
        ("get_cookies", {"cookieAccess": "specific", "cookieNames": ["a"]}, "getCookieValues", "a", "b"),
        ("read_event_data", {"keyPatterns": ["value"]}, "getEventData", "value", "event_name"),
        (
            "read_request",
            {"headersAllowed": True, "headerWhitelist": [{"headerName": "x-list"}]},
            "getRequestHeader",
            "X-List",
            "host",
        ),
        (
            "send_http",
            {"urls": ["https://a.example/"]},
            "sendHttpGet",
            "https://a.example/x",
            "https://b.example/",
        ),
    ],
)
def test_what_is_allowed_once_allows_nothing_else(permission, parameters, api, allowed, refused):
    """SPEC: sandbox-api 2: each call is checked."""
    host = host_for(granted={**EVERYTHING, permission: parameters})
    for _ in range(3):
        assert "may not" not in str(called(api, allowed, host=host))
        assert "may not" in called(api, refused, host=host)
    other = host_for(granted={**EVERYTHING, permission: {}})
    assert "may not" in called(api, allowed, host=other), (
        "another template's permissions remember nothing of it"
    )


def test_json_escapes_wherever_they_stand():
    """ECMA-262, QuoteJSONString: around the eight bytes that are looked at together."""
    for length in range(18):
        for sign, written in (
            ('"', '\\"'),
            ("\\", "\\\\"),
            ("\n", "\\n"),
            ("\x1f", "\\u001f"),
            ("\x7f", "\x7f"),
        ):
            text = "x" * length + sign + "é" * (length % 2)
            expected = f'"{"x" * length}{written}{"é" * (length % 2)}"'
            assert stringify_value(Limits().start(), text) == expected
    for number in (0, -1, 10, 2**53, -(2**63), 2**63, 2**70, 1.5):
        assert stringify_value(Limits().start(), [number]) == f"[{number}]"
