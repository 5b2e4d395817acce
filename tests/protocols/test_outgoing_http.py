"""SPEC: reliability 3, rules 1 and 7: one rule for `check`, tags and the request writer."""

import pytest

from sgtm.delivery.errors import Refused
from sgtm.delivery.request_writer import write_parts
from sgtm.protocols.outgoing_http import may_be_set, read_origin
from sgtm.tags.http_request import check

URLS = [
    ("https://api.example/x", ("https", "api.example", 443)),
    ("HTTP://API.example.:8080", ("http", "api.example.", 8080)),
    ("http://[::1]:80/", ("http", "[::1]", 80)),
    ("https://a_b.example?x", ("https", "a_b.example", 443)),
    ("https://user@api.example/", None),
    ("https://api..example/", None),
    (f"https://{'a' * 64}.example/", None),
    ("https://api.example:0/", None),
    ("https://api.example:65536/", None),
    ("https://b\u00fccher.example/", None),
    ("ftp://api.example/", None),
    ("https:///path", None),
    ("//api.example/", None),
]
NAMES = [("X-Own", True), ("Content-Type", True), ("Host", False), ("proxy-anything", False), ("TE", False)]
NAMES += [("a b", False), ("", False), ("Transfer-Encoding", False), ("a:b", False), ("Forwarded", False)]


@pytest.mark.parametrize(("url", "origin"), URLS)
def test_check_and_writer_agree_on_addresses(url, origin):
    problems = [one for one in check({"url": url}, "tag") if one.severity == "error"]
    if origin is None:
        with pytest.raises(ValueError, match="not a"):
            read_origin(url)
        with pytest.raises(Refused):
            write_parts("POST", url, ())
        assert problems
    else:
        assert read_origin(url) == origin
        assert write_parts("POST", url, ())
        assert not problems


@pytest.mark.parametrize(("name", "is_free"), NAMES)
def test_check_and_writer_agree_on_headers(name, is_free):
    parameters = {"url": "https://api.example/", "headers": {name: "x"}}
    assert may_be_set(name) is is_free
    assert bool([one for one in check(parameters, "tag") if one.severity == "error"]) is not is_free
    if is_free:
        assert write_parts("POST", "https://api.example/", [(name, "x")])
    else:
        with pytest.raises(Refused):
            write_parts("POST", "https://api.example/", [(name, "x")])
