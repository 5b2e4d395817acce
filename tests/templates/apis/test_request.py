"""The request as templates read it (SPEC: sandbox-api 1.1)."""

import pytest
from msgspec import UNSET
from template_hosts import host_for, value_of, with_request

from sgtm.messages import NO_REQUEST


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("getRequestHeader')('X-List')", "1, 2"),  # name case-insensitive; repeats joined with `, ` [D]
        ("getRequestHeader')('x-missing')", UNSET),
        ("getRequestBody')()", '{"n": 1}'),
        ("getRequestMethod')()", "POST"),
        ("getRequestPath')()", "/data"),
        ("getRequestQueryParameter')('a')", "1"),  # the first value of a repeat [D]
        ("getRequestQueryParameter')('b')", "x y"),  # decoded [D]
        ("getRequestQueryParameter')('empty')", ""),
        ("getRequestQueryParameter')('none')", UNSET),
        ("getRequestQueryParameters')()", {"a": ["1", "2"], "b": "x y", "empty": ""}),  # repeats: array [D]
        ("getRequestQueryString')()", "a=1&b=x%20y&a=2&empty="),  # without `?` [D]
        ("getRemoteAddress')()", "203.0.113.7"),
        ("getCookieValues')('dup')", ["one", "twö"]),  # URI-decoded [D]
        ("getCookieValues')('dup', true)", ["one", "tw%C3%B6"]),
        ("getCookieValues')('none')", []),  # empty array if none [D]
    ],
)
def test_parts_of_the_request(call, expected):
    assert value_of(f"return require('{call}") == expected


@pytest.mark.parametrize(
    ("changes", "call", "expected"),
    [
        ({"body": b""}, "getRequestBody", UNSET),
        ({"body": b"a\xff"}, "getRequestBody", "a�"),
        ({"query": b""}, "getRequestQueryString", ""),
        ({"query": b""}, "getRequestQueryParameters", {}),
        ({"headers": ((b"cookie", b"c=%E4; c=100%"),)}, "getCookieValues", ["%E4", "100%"]),
    ],
)
def test_parts_that_are_missing_or_broken(changes, call, expected):
    host = host_for(request=with_request(**changes))
    assert value_of(f"return require('{call}')('c')", host) == expected


@pytest.mark.parametrize(
    "name", ["Header", "Body", "Method", "Path", "QueryParameter", "QueryParameters", "QueryString"]
)
def test_an_event_that_came_by_no_request_has_no_parts(name):
    assert value_of(f"return require('getRequest{name}')('a')", host_for(request=NO_REQUEST)) is UNSET


def test_what_a_script_changes_is_its_own():
    code = "const get = require('getRequestQueryParameters'); get().a.push(3); return get().a"
    assert value_of(code) == ["1", "2"]
