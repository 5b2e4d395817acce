# ruff: noqa: E501 - one program, one line
"""Event data, the container, time and chance, the console (SPEC: sandbox-api 1.3, 1.5)."""

import pytest
from msgspec import UNSET
from template_hosts import EVENT, EVERYTHING, Ran, host_for, value_of, with_request

from sgtm.templates.apis import DECLARED, PERMISSION_OF, table_for
from sgtm.templates.apis.pure import PURE
from sgtm.templates.empty_request import empty_request
from sgtm.templates.host import ContainerFacts
from sgtm.templates.library import LIBRARY


@pytest.mark.parametrize(
    ("path", "expected"),
    [("value", 12.5), ("items.0.price", 3), ("user_data.email", "a@b.example"), ("none.x", UNSET)],
)
def test_event_data_by_key_path(path, expected):
    # dot path, digits index arrays; undefined if absent [D]
    assert value_of(f"return require('getEventData')('{path}')") == expected


def test_event_data_are_copies():
    # a copy, so templates change it freely [D]
    code = (
        "const all = require('getAllEventData'), one = require('getEventData');"
        "all().items.push(1); one('items').push(2); all().user_data.email = 'x'; return all()"
    )
    assert value_of(code) == EVENT


def test_numbers_of_event_data_are_those_of_javascript():
    data = {"event_name": "x", "big": 2**60 + 1, "whole": 3.0, "tuple": (1, 2), "strange": {1, 2}}
    expected = {"event_name": "x", "big": float(2**60), "whole": 3, "tuple": [1, 2], "strange": UNSET}
    assert value_of("return require('getAllEventData')()", host_for(data=data)) == expected


def test_a_client_has_no_event():
    assert value_of("return require('getEventData')('value')", host_for("client")) is UNSET


def test_facts_of_the_container():
    facts = ContainerFacts("GTM-X", "12", is_preview=True, environment_name="Live")
    assert value_of("return require('getContainerVersion')()", host_for(container=facts)) == {
        "containerId": "GTM-X",
        "version": "12",
        "debugMode": False,
        "previewMode": True,
        "environmentMode": True,
        "environmentName": "Live",
    }
    assert value_of("return require('getClientName')()") == "GA4"
    assert value_of("return require('getClientName')()", host_for("client", client_name="")) == "T"


# -- clients -------------------------------------------------------------------------------------------

CLIENT = (
    "const claim = require('claimRequest'), run = require('runContainer'), log = require('logToConsole');"
)


def test_a_client_claims_and_hands_over_events_and_hears_of_them():
    ran = Ran(
        CLIENT
        + "claim(); run({event_name: 'a', f: claim, u: undefined, n: [1, undefined]}, () => log('end'), () => log('start'));"
        "run({event_name: 'b'})",
        host_for("client"),
    )
    first, second = ran.host.events
    assert ran.host.is_claimed
    # functions and what is undefined stay behind
    assert (first.data, second.data) == ({"event_name": "a", "n": [1, None]}, {"event_name": "b"})
    assert (second.on_start, second.on_complete) == (None, None)
    ran.after(first.on_start)
    ran.after(first.on_complete)
    assert ran.host.log == ["start", "end"]


@pytest.mark.parametrize("kind", ["tag", "variable"])
def test_only_a_client_claims(kind):
    with pytest.raises(Exception, match=f"claimRequest is for client templates, and this is a {kind}"):
        Ran(CLIENT + "claim()", host_for(kind))


def test_a_client_claims_before_its_code_ends():
    # throws when called after the client returned (asynchronously) [D]
    with pytest.raises(Exception, match="before the client's code ends"):
        Ran(CLIENT + "require('callLater')(claim)", host_for("client"))


def test_callbacks_bind_functions_to_their_event():
    code = CLIENT + (
        "const add = require('addEventCallback'), get = require('getEventData');"
        "run({event_name: 'a', v: 1}, bind => { log(bind(get)('v')); bind(add)((id, e) => log(id, e.tags)); });"
        "run({event_name: 'b', v: 2}, bind => { log(bind(get)('v')); });"
    )
    ran = Ran(code, host_for("client"))
    for event in ran.host.events:
        ran.after(event.on_complete)
    first, second = ran.host.events
    assert second.callbacks == []
    (told,) = first.callbacks
    ran.after(lambda: told("GTM-X", {"tags": [{"id": "1", "status": "success", "executionTime": 3}]}))
    assert ran.host.log == ["1", "2", 'GTM-X [{"id":"1","status":"success","executionTime":3}]']


def test_a_tag_hears_of_the_end_of_its_event():
    ran = Ran("require('addEventCallback')((id, e) => require('logToConsole')(id, e.tags.length))")
    (told,) = ran.host.event_callbacks
    ran.after(lambda: told("GTM-X", {"tags": []}))
    assert ran.host.log == ["GTM-X 0"]


def test_a_client_must_bind_event_callbacks():
    # in a client it must be bound [D]
    with pytest.raises(Exception, match="bindToEvent"):
        Ran("require('addEventCallback')(() => 1)", host_for("client"))


def test_a_run_hands_over_100_events_at_most():
    with pytest.raises(Exception, match="100 events") as caught:
        Ran(CLIENT + "while (true) run({})", host_for("client"))
    assert caught.value.limit == "container_runs"


# -- time, chance, the console -------------------------------------------------------------------------


def test_time_and_chance_are_the_requests():
    code = "const r = require('generateRandom'); return [require('getTimestampMillis')(), require('getTimestamp')(), r(1, 1e9), r(1, 1e9)]"
    first, again = value_of(code), value_of(code)
    other = value_of(code, host_for(request=with_request(seed=43)))
    assert first == again
    assert first[:2] == [1_700_000_000_123] * 2
    assert first[2] != first[3]
    assert first[2:] != other[2:]


@pytest.mark.parametrize(
    ("arguments", "low", "high"),
    [
        ("1, 6", 1, 6),
        ("-3, -3", -3, -3),
        ("0.5, 1.5", 1, 1),
        ("9, 1", 0, 2147483647),
        ("0, 0/0", 0, 2147483647),
    ],
)
def test_random_numbers_are_between_both_bounds_and_both_are_included(arguments, low, high):
    # integer, both ends inclusive; min > max or NaN: 0 … 2147483647 (google-runtime 5.5)
    code = f"const r = require('generateRandom'); const a = []; for (let i = 0; i < 200; i++) a.push(r({arguments})); return a"
    values = value_of(code)
    assert low <= min(values) <= max(values) <= high
    assert len(set(values)) == min(high - low + 1, 6) or high > 6


def test_random_numbers_take_numbers():
    with pytest.raises(Exception, match="argument error in generateRandom"):
        value_of("require('generateRandom')('1', '2')")


@pytest.mark.parametrize(
    ("permission", "facts", "lines"),
    [
        ({"environments": "all"}, ContainerFacts("G", "1"), 1),
        ({"environments": "debug"}, ContainerFacts("G", "1"), 0),
        ({"environments": "debug"}, ContainerFacts("G", "1", is_preview=True), 1),
        (None, ContainerFacts("G", "1"), 0),  # without permission it returns silently (google-runtime 5.4)
    ],
)
def test_the_console_is_written_where_its_permission_allows(permission, facts, lines):
    granted = {} if permission is None else {"logging": permission}
    host = Ran("require('logToConsole')('a', {b: [1]}, null)", host_for("tag", granted, container=facts)).host
    assert host.log == ['a {"b":[1]} null'] * lines


def test_the_console_has_100_lines_of_4_kb():
    # reliability 4.2
    host = host_for()
    with pytest.raises(Exception, match="100 lines") as caught:
        Ran(
            "let s = 'x'; for (let i = 0; i < 14; i++) s = s + s; while (true) require('logToConsole')(s)",
            host,
        )
    assert caught.value.limit == "log_lines"
    assert [len(line) for line in host.log] == [4096] * 100


def test_permissions_can_be_asked_for():
    code = "const q = require('queryPermission'); return [q('send_http', 'https://a.example/x'), q('send_http', 'https://b.example/x'), q('none')]"
    granted = {"send_http": {"allowedUrls": "specific", "urls": ["https://a.example/"]}}
    assert value_of(code, host_for("tag", granted)) == [True, False, False]
    assert (
        value_of("const a = []; a.push(a); return require('queryPermission')('send_http', a, {a: a})")
        is False
    )


def test_everything_that_exists_is_in_the_tables_of_all_kinds_and_of_tests():
    names = {name.partition(".")[0] for name in DECLARED}
    assert names <= set(table_for("tag")) == set(table_for("client")) == set(table_for("variable"))
    assert set(table_for("tag")) == set(empty_request(None, []))
    assert set(PERMISSION_OF.values()) == set(EVERYTHING)
    assert set(PURE) == set(LIBRARY)
    assert [name for name, api in DECLARED.items() if not api.summary.endswith(".")] == []
