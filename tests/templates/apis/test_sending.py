"""sendHttpRequest and sendHttpGet: both forms, and who waits for the answer (SPEC: sandbox-api 1.4)."""

import pytest
from template_hosts import Ran, host_for
from template_scripts import functions_left_by

SEND = "const send = require('sendHttpRequest'); const log = require('logToConsole');"


@pytest.mark.parametrize(
    "code",
    [
        "send('https://v.example/x')",
        "const p = send('https://v.example/x'); if (p) log('sent')",
        "(function () { const p = send('https://v.example/x'); })()",
        "require('callLater')(() => { send('https://v.example/x'); })",
        "require('sendHttpGet')('https://v.example/x')",
    ],
)
def test_what_nobody_waits_for_goes_through_the_lanes(code):
    ran = Ran(SEND + code)
    assert [one.url for one in ran.host.requests] == ["https://v.example/x"]
    assert ran.host.asks == []


@pytest.mark.parametrize(
    "code",
    [
        "send('https://v.example/x').then(r => log(r.statusCode))",
        "send('https://v.example/x').catch(e => 1)",
        "send('https://v.example/x').finally(() => log(200))",
        "send('https://v.example/x', status => log(status))",
        "return send('https://v.example/x')",
        "require('Promise').all([send('https://v.example/x')]).then(all => log(all[0].statusCode))",
        "const p = send('https://v.example/x'); require('callLater')(() => { p.then(r => log(r)); })",
        # a function that lives on knows the promise: it may still attach a reaction
        "const p = send('https://v.example/x'); send('https://w.example/').then(() => p.then(() => 1))",
        "let kept; const f = () => kept; kept = send('https://v.example/x'); return f",
    ],
)
def test_what_somebody_may_wait_for_is_asked(code):
    ran = Ran(SEND + code)
    assert "https://v.example/x" in [ask.request.url for ask in ran.host.asks]
    assert ran.host.requests == []


def test_a_promise_gets_status_headers_and_body_of_any_status():
    # [D]: an HTTP error status resolves; headers by lower-case name
    ran = Ran(SEND + "send('https://v.example/').then(r => log(r.statusCode, r.headers, r.body))")
    ran.answer(503, b"b\xc3\xa4d", (("x-a", "1"), ("x-a", "2"), ("set-cookie", "a=1"), ("set-cookie", "b=2")))
    assert ran.host.log == ['503 {"x-a":"1, 2","set-cookie":["a=1","b=2"]} bäd']


@pytest.mark.parametrize(
    ("reason", "rejected", "status"),
    [("timed_out", "timed_out", -1), ("refused", "failed", 0), ("tls", "failed", 0)],
)
def test_without_an_answer_a_promise_is_rejected_and_a_callback_gets_no_status(reason, rejected, status):
    # [D]: rejects with {reason: failed or timed_out}; the callback of the old form has no other way
    ran = Ran(
        SEND + "send('https://v.example/').catch(e => log(e));"
        "send('https://w.example/', (s, h, b) => log(s, h, b))"
    )
    ran.fail(reason)
    ran.fail(reason)
    assert sorted(ran.host.log) == sorted([f'{{"reason":"{rejected}"}}', f"{status} {{}} undefined"])


def test_options_say_method_headers_body_and_time_out():
    ran = Ran(
        SEND + "send('https://V.example:443/p a?q=ä#f', {method: 'put', timeout: 700, headers: {'X-A': 1,"
        " 'X-B': null, 'Host': 'evil.example', 'X-C': 'a\\r\\nB: c'}}, 'böd').then(r => r)"
    )
    ask = ran.take()
    request = ask.request
    assert (request.method, request.url) == ("PUT", "https://v.example/p%20a?q=%C3%A4")
    assert request.headers == (("X-A", "1"),)  # R280: no line break, nothing of the connection's
    assert request.body == "böd".encode()
    assert ask.timeout_s == 0.7
    assert len(ran.host.log) == 2


@pytest.mark.parametrize(
    ("options", "timeout_s"), [("", 5), (", {timeout: 99000}", 15), (", {timeout: 'x'}", 5)]
)
def test_a_promise_waits_5_s_or_its_own_time_out_up_to_15(options, timeout_s):
    # reliability 4.2
    assert Ran(SEND + f"send('https://v.example/'{options}).then(r => r)").take().timeout_s == timeout_s


def test_the_old_form_without_callback_is_known_by_its_third_argument():
    ran = Ran(SEND + "send('https://v.example/', null, {method: 'POST', headers: {a: 'b'}}, 'x')")
    assert [(one.method, one.body) for one in ran.host.requests] == [("POST", b"x")]


@pytest.mark.parametrize("url", ["nonsense", "ftp://v.example/", "https://user:pw@v.example/", "https://"])
def test_what_is_no_address_is_not_sent(url):
    with pytest.raises(Exception, match="send_http"):
        Ran(SEND + f"send('{url}')")


def test_a_method_that_is_none_rejects_the_promise_and_says_so():
    ran = Ran(SEND + "send('https://v.example/', {method: 'CONNECT'}).catch(e => log(e.reason))")
    assert ran.host.log == ["sendHttpRequest: not sent, the method cannot be used", "failed"]


def test_a_run_sends_50_requests_at_most():
    # reliability 4.2
    with pytest.raises(Exception, match="50 requests") as caught:
        Ran(SEND + "for (let i = 0; i < 10000; i++) send('https://v.example/')", host := host_for())
    assert caught.value.limit == "http_calls"
    assert len(host.requests) == 0  # they leave when the code has ended well


def test_a_run_without_end_of_forgotten_promises_does_not_count_them_as_pending():
    ran = Ran(SEND + "for (let i = 0; i < 50; i++) send('https://v.example/' + i)")
    assert ran.run.promises == 100
    assert len(ran.host.requests) == 50


def test_code_that_fails_has_sent_nothing_that_nobody_waits_for():
    host = host_for()
    with pytest.raises(Exception, match="undefined"):
        Ran(SEND + "send('https://v.example/'); undefined.x", host)
    assert host.requests == []


@pytest.mark.parametrize("rest", [", g)", ").then(g)"])
def test_a_run_whose_answer_has_come_leaves_no_cycle_behind(rest):
    """Functions that know one another are let go with the run, without Python's collector."""
    source = f"{SEND} const f = () => g; const g = r => f; send('https://v.example/x'{rest}"
    Ran(source).answer()
    assert not functions_left_by(lambda: Ran(source).answer())
