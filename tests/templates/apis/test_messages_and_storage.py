# ruff: noqa: E501 - one program, one line
"""Messages between templates of a request, and what the runs of one template remember (SPEC: sandbox-api 1.3)."""

import pytest
from msgspec import UNSET
from template_hosts import Ran, host_for, value_of

from sgtm.templates.apis.storage import TemplateStorage

MESSAGES = (
    "const add = require('addMessageListener'), has = require('hasMessageListener');"
    "const send = require('sendMessage'), log = require('logToConsole');"
)


def test_a_message_is_delivered_at_once_and_to_its_type_only():
    # sync delivery; type coerced to string [D]
    ran = Ran(
        MESSAGES
        + "add(1, (type, m) => log(type, m)); send('2', {}); send(1, {a: 1}); log(has('1'), has('2'))"
    )
    assert ran.host.log == ['1 {"a":1}', "true false"]


def test_anything_but_an_object_is_not_sent():
    assert Ran(MESSAGES + "add('x', () => log('no')); send('x', 'text'); send('x', null)").host.log == []


def test_a_message_reaches_another_run_without_its_functions_and_changes_nothing_there():
    listeners: dict = {}
    client = Ran(
        MESSAGES + "add('x', (t, m) => { m.list.push(3); log(m); })", host_for("client", listeners=listeners)
    )
    tag = Ran(
        MESSAGES + "const m = {list: [1], f: log, u: undefined}; send('x', m); log(m.list)",
        host_for("tag", listeners=listeners),
    )
    assert client.host.log == ['{"list":[1,3]}']
    assert tag.host.log == ["[1]"]


@pytest.mark.parametrize("body", ["undefined.x", "while (true) {}", "send('x', {})"])
def test_what_goes_wrong_in_a_listener_is_not_the_senders_failure(body):
    listeners: dict = {}
    Ran(MESSAGES + f"add('x', () => {{ {body}; }})", host_for("client", listeners=listeners))
    assert Ran(MESSAGES + "send('x', {}); return 1", host_for("tag", listeners=listeners)).value == 1


def test_a_request_has_20_listeners_at_most():
    with pytest.raises(Exception, match="20 message listeners") as caught:
        Ran(MESSAGES + "while (true) add('x', () => 1)")
    assert caught.value.limit == "message_listeners"


# -- storage -------------------------------------------------------------------------------------------

STORE = "const store = require('templateDataStorage');"


def test_what_one_run_stores_another_reads():
    storage = TemplateStorage()
    Ran(STORE + "store.setItemCopy('k', {a: [1]}); store.setItemCopy(2, 'two')", host_for(storage=storage))
    read = "const v = store.getItemCopy('k'); v.a.push(2); return [store.getItemCopy('k'), store.getItemCopy('2')]"
    assert value_of(STORE + read, host_for(storage=storage)) == [{"a": [1]}, "two"]


def test_what_is_stored_is_a_copy_and_what_is_missing_null():
    code = "const v = [1]; store.setItemCopy('k', v); v.push(2); return [store.getItemCopy('k'), store.getItemCopy('x')]"
    assert value_of(STORE + code) == [[1], None]  # null if missing [D]


@pytest.mark.parametrize("code", ["setItemCopy('k', null)", "removeItem('k')", "clear()"])
def test_what_is_removed_is_gone(code):
    # setting null removes [D]
    storage = TemplateStorage()
    code = f"store.setItemCopy('k', 1); store.{code}; return store.getItemCopy('k')"
    assert value_of(STORE + code, host_for(storage=storage)) is None
    assert storage.get("k") is UNSET


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("let s = 'x'; for (let i = 0; i < 17; i++) s = s + s; store.setItemCopy('k', s)", "storage_value"),
        (
            "let s = 'x'; for (let i = 0; i < 15; i++) s = s + s; for (let i = 0; i < 99; i++) store.setItemCopy(i, s)",
            "storage",
        ),
        ("for (let i = 0; i < 1e6; i++) store.setItemCopy(i, 0)", "st"),
        ("const a = []; a.push(a); store.setItemCopy('k', a)", "depth"),
    ],
)
def test_a_store_has_bounds(code, limit):
    # reliability 4.2: 64 KB a value, 1 MB a template
    with pytest.raises(Exception, match="line 1") as caught:
        Ran(STORE + code)
    assert caught.value.limit.startswith(limit)


def test_a_value_that_takes_the_place_of_another_takes_its_room():
    code = "let s = 'x'; for (let i = 0; i < 15; i++) s = s + s; for (let i = 0; i < 99; i++) store.setItemCopy('k', s)"
    assert value_of(STORE + code + "; return store.getItemCopy('k').length") == 2**15
