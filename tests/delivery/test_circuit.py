from sgtm.delivery.circuit import Circuit

# SPEC: reliability 1.3 Lanes: >= 50 % failures of >= 20 in 30 s; 1 probe per 5 s growing to 60 s.


def test_it_opens_at_half_of_twenty_and_not_before():
    circuit = Circuit()
    for _ in range(10):
        circuit.succeeded(0.0)
    for count in range(1, 11):
        assert circuit.state == "closed"
        assert circuit.failed(1.0, "HTTP 500") == (count == 10)
    assert circuit.state == "open"
    assert circuit.reason == "HTTP 500"


def test_failures_older_than_the_window_do_not_count():
    circuit = Circuit()
    for _ in range(19):
        circuit.failed(0.0, "HTTP 500")
    assert not circuit.failed(30.0, "HTTP 500")
    assert circuit.allows(30.0)


def opened(now=0.0):
    circuit = Circuit()
    for _ in range(20):
        circuit.failed(now, "HTTP 500")
    return circuit


def test_one_probe_leaves_after_five_seconds_and_a_success_closes():
    circuit = opened()
    assert not circuit.allows(4.9)
    assert circuit.allows(5.0)
    circuit.sends()
    assert not circuit.allows(5.0)
    assert circuit.succeeded(5.1)
    assert circuit.allows(5.1)
    assert not circuit.failed(5.2, "HTTP 500"), "what failed before the outage is forgotten"


def test_probes_become_rarer_up_to_one_a_minute():
    circuit, now, waits = opened(), 0.0, []
    for _ in range(7):
        waits.append(circuit.opens_at - now)
        now = circuit.opens_at
        circuit.sends()
        circuit.failed(now, "HTTP 500")
    assert waits == [5, 10, 20, 40, 60, 60, 60]


def test_a_refusal_opens_at_once():
    circuit = Circuit()
    assert circuit.refused(0.0, "code 190")
    assert not circuit.allows(1.0)


def test_a_refusal_beside_fresh_successes_concerns_one_tag_and_does_not_open():
    circuit = Circuit()
    circuit.succeeded(10.0)
    assert not circuit.refused(12.0, "code 100/33")
    assert circuit.refused(16.0, "code 190")


def test_a_probe_that_never_left_makes_room_for_another():
    circuit = opened()
    circuit.sends()
    circuit.told_nothing(5.0)
    assert circuit.allows(5.0)
