"""Whatever a script hands to an API, only errors of the sandbox come out (SPEC: reliability 4.1, 4.3 17)."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from template_hosts import EVENT, host_for, with_request

from sgtm._fast.sandbox_convert import get_member
from sgtm._fast.sandbox_values import (
    Callable,
    HostObject,
    LimitError,
    Native,
    Opaque,
    Promise,
    Run,
    SandboxError,
)
from sgtm.messages import VendorAnswer
from sgtm.templates.apis import DECLARED, table_for
from sgtm.templates.apis.declaration import KINDS
from sgtm.templates.host import Failed, Services
from sgtm.templates.permissions import MAX_URL
from sgtm.templates.script import Limits

CLOSED = (str, int, float, bool, type(None), type(UNSET), list, dict, Callable, HostObject, Opaque, Promise)
ODD_TEXTS = [
    *(
        "",
        "__class__",
        "__dict__",
        "toString",
        "constructor",
        "\ud800",
        "\0",
        "a\r\nb: c",
        "%",
        "%ff",
        "=" * 9,
    ),
    *(
        "https://v.example/",
        "https://u:p@v.example",
        "http://127.0.0.1",
        "https://[::1]:0/",
        "https://é.example",
    ),
    *("x" * 5000, "items.0.price", "../..", "a/b", "shops", "==", "hex", "auto", "max-age", "9" * 400),
]


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def cyclic():
    value = {"a": 1}
    value["self"] = value
    value["list"] = [value]
    return value


scalars = st.one_of(
    st.none(),
    st.just(UNSET),
    st.booleans(),
    st.sampled_from(
        [0, -1, 1, 2**53 + 1, -(2**80), 1e308, -0.0, math.nan, math.inf, -math.inf, 0.5, 200, 600]
    ),
    st.sampled_from(ODD_TEXTS),
    st.text(max_size=5),
)
KEYS = st.sampled_from(
    [
        *ODD_TEXTS[:6],
        "method",
        "headers",
        "timeout",
        "authorization",
        "scopes",
        "projectId",
        "datasetId",
        "tableId",
    ]
    + [
        "limit",
        "merge",
        "transaction",
        "outputEncoding",
        "domain",
        "expires",
        "max-age",
        "sameSite",
        "event_name",
    ]
)
plain = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=8,
)
special = st.sampled_from(["cycle", "deep", "function", "throws", "promise", "opaque", "object"])
arguments = st.lists(st.one_of(plain, special.map(lambda name: ("special", name))), max_size=5)


def made(run: Run, value):
    """The values that belong to a run."""
    if not isinstance(value, tuple):
        return value
    return {
        "cycle": cyclic,
        "deep": lambda: nested(500),
        "function": lambda: Native("f", lambda run, args: UNSET),
        "throws": lambda: Native("g", lambda run, args: get_member(run, UNSET, "x")),
        "promise": lambda: Promise(run),
        "opaque": lambda: Opaque("odd"),
        "object": lambda: HostObject("o", {}),
    }[value[1]]()


def apis(kind):
    """Every function of the table, objects' methods by their dotted name."""
    table = table_for(kind)
    for name, value in table.items():
        if isinstance(value, HostObject):
            run = Limits().start()
            for declared in DECLARED:
                if declared.startswith(name + "."):
                    yield declared, get_member(run, value, declared.partition(".")[2])
        else:
            yield name, value


def check_closed(value, seen):
    """Every value that is reachable is of the closed set."""
    assert isinstance(value, CLOSED), type(value)
    if isinstance(value, (list, dict)) and id(value) not in seen:
        seen.add(id(value))
        for member in value.values() if isinstance(value, dict) else value:
            check_closed(member, seen)


def drained(run, host, step):
    try:
        step()
        run.drain()
    except SandboxError:
        host.asks.clear()


@settings(max_examples=150, deadline=None)
@given(
    arguments,
    st.sampled_from([Failed("timed_out"), VendorAnswer(200, (("a", "b"),), b'{"transaction": "t"}')]),
)
def test_no_argument_of_any_kind_makes_another_error(given, said):
    for kind in KINDS:
        for _, function in apis(kind):
            host = host_for(
                kind,
                data={**EVENT, "x-ga-mp2-richsstsse": ""},
                request=with_request(query=b"v=2&tid=G-1&cid=5&en=x"),
                services=Services("p", "s", private_key=lambda key: b"k"),
            )
            run = Limits().start()
            run.host = host

            def call(function=function, run=run):
                check_closed(function(run, *(made(run, value) for value in given)), set())

            drained(run, host, call)
            for ask in host.asks[:3]:
                drained(run, host, lambda ask=ask, run=run: ask.done(said))


# -- growth --------------------------------------------------------------------------------------------

TEXT = "x"
GROWING = [
    ("getRequestHeader", lambda n: ["x" * n]),
    ("getRequestQueryParameter", lambda n: ["x" * n]),
    ("getCookieValues", lambda n: ["x" * n]),
    ("getEventData", lambda n: ["x." * n]),
    ("setResponseBody", lambda n: ["x" * n]),
    ("setCookie", lambda n: ["a", "x" * n]),
    ("setCookie", lambda n: ["a", "x", {f"k{i}": i for i in range(n)}]),
    ("client runContainer", lambda n: [{f"k{i}": i for i in range(n)}]),
    ("client runContainer", lambda n: [{"a": list(range(n))}]),
    ("sendHttpRequest", lambda n: ["https://v.example/", {"method": "POST"}, "x" * n]),
    ("sendHttpGet", lambda n: ["https://v.example/" + "x" * min(n, MAX_URL - 50)]),
    (
        "BigQuery.insert",
        lambda n: [{"projectId": "p", "datasetId": "d", "tableId": "t"}, [{"a": i} for i in range(n)]],
    ),
    ("Firestore.write", lambda n: ["a/b", {f"k{i}": i for i in range(n)}]),
    ("Firestore.write", lambda n: ["a/b", {"text": "x" * n}]),
    ("Firestore.query", lambda n: ["a", [["k", "in", list(range(n))]]]),
    ("templateDataStorage.setItemCopy", lambda n: ["k", list(range(n // 4))]),
    ("templateDataStorage.setItemCopy", lambda n: ["x" * n, 1]),
    ("sendMessage", lambda n: ["t", {"a": list(range(n))}]),
    (
        "sendEventToGoogleAnalytics",
        lambda n: [{"event_name": "x", "x-ga-measurement_id": "G-1", "a": "x" * n}],
    ),
    ("hmacSha256", lambda n: ["x" * n, "key1"]),
    ("logToConsole", lambda n: [list(range(n))]),
    ("logToConsole", lambda n: ["x" * n]),
    ("queryPermission", lambda n: ["send_http", [1] * n]),
    ("getGoogleAuth", lambda n: [{"scopes": ["https://www.googleapis.com/auth/datastore"] * n}]),
]


def charge_of(name, args, host):
    limits = Limits(steps=10**9, elements=10**9, text_length=10**9, text_total=10**9)
    run = limits.start()
    run.host = host
    dict(apis(host.kind))[name](run, *args)
    run.drain()
    return 10**9 - run.steps


@pytest.mark.parametrize(
    ("name", "args"), GROWING, ids=[f"{i}-{name}" for i, (name, _) in enumerate(GROWING)]
)
def test_what_an_api_takes_grows_with_what_it_is_given(name, args):
    # reliability 4.2: charge >= c·n; a step is some 50 ns, and no API works more than that for 256 characters
    kind, name = name.split() if " " in name else ("tag", name)

    def host():
        return host_for(kind, services=Services("p", "s", private_key=lambda key: b"k"))

    few, many = (charge_of(name, args(n), host()) for n in (1_000, 8_000))
    assert many - few >= 7_000 / 256


@pytest.mark.parametrize(
    ("name", "changes", "data"),
    [
        ("getRequestBody", {"body": b"x" * 80_000}, EVENT),
        ("getRequestQueryString", {"query": b"x" * 80_000}, EVENT),
        ("getRequestQueryParameters", {"query": b"a=1&" * 20_000}, EVENT),
        ("getRequestPath", {"path": "/" + "x" * 80_000}, EVENT),
        ("extractEventsFromMpv2", {"query": b"v=2&tid=G-1&en=x&ep.a=" + b"x" * 80_000}, EVENT),
        ("getAllEventData", {}, {"event_name": "x", "list": list(range(20_000))}),
    ],
)
def test_what_an_api_takes_grows_with_what_it_reads(name, changes, data):
    host = host_for(request=with_request(**changes), data=data)
    assert charge_of(name, [], host) >= 80_000 / 256


@pytest.mark.parametrize(
    ("name", "data"),
    [("getAllEventData", {"list": list(range(200_000))}), ("getEventData", {"list": list(range(200_000))})],
)
def test_event_data_that_are_larger_than_a_run_may_be_end_it(name, data):
    run = Limits().start()
    run.host = host_for(data=data)
    with pytest.raises(LimitError) as caught:
        table_for("tag")[name](run, "list")
    assert caught.value.limit == "elements"
