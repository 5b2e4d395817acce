"""`context:` of a container: what check says about it."""

import pytest
import yaml

from sgtm.container.check import check_container

CLIENTS = [
    {"name": "GA4", "type": "ga4", "priority": 2},
    {"name": "Shop", "type": "json", "parameters": {"paths": ["/o"], "adds_request_data": False}},
]
HOLD = {"name": "purchase", "key": "order", "events": ["purchase"]}


def problems(tmp_path, clients=CLIENTS, **context):
    said = {"browser_clients": ["GA4"], "server_clients": ["Shop"], **context}
    path = tmp_path / "container.yaml"
    path.write_text(yaml.safe_dump({"sgtm": 1, "context": said, "clients": clients}, sort_keys=False))
    return [
        f"{problem.severity} {problem.where.partition(': ')[2]}: {problem.what}"
        for problem in check_container(path)
    ]


def test_a_sound_one_is_sound(tmp_path):
    assert problems(tmp_path, holds=[HOLD], keys={"order": ["transaction_id", "ecommerce.id"]}) == []


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"server_clients": ["Shopp"]}, "error context.server_clients[0]: there is no client 'Shopp'"),
        ({"browser_clients": ["GA"]}, "error context.browser_clients[0]: there is no client 'GA'"),
        (
            {"server_clients": ["Shop", "GA4"]},
            "error context.server_clients[1]: 'GA4' is in `browser_clients` too: an event is one or the "
            "other",
        ),
        (
            {"keys": {"client_id": ["cid"], "order": ["id"]}},
            "error context.keys.client_id: is always a key, the last that is looked up",
        ),
        ({"keys": {"order": []}}, "error context.keys.order: names no key path of event data"),
        ({"holds": [{**HOLD, "key": "cart"}]}, "error context.holds[0].key: there is no key 'cart'"),
        (
            {"holds": [{**HOLD, "key": "client_id"}]},
            "error context.holds[0].key: there is no key 'client_id'",
        ),
        ({"holds": [HOLD, HOLD]}, "error context.holds[1].name: another rule has this name"),
        (
            {"holds": [HOLD, {**HOLD, "name": "other"}]},
            "warning context.holds[1].events: 'purchase' falls under the rule 'purchase' already: the first "
            "counts",
        ),
        (
            {"unknown_consent_of": {"Import": "granted"}},
            "error context.unknown_consent_of.Import: there is no client of `server_clients` 'Import'",
        ),
        (
            {"ttl": "forever"},
            "error context.ttl: 'forever' does not have the form '^[1-9][0-9]{0,4}[smhd]$'",
        ),
    ],
)
def test_what_cannot_work_is_said(tmp_path, context, said):
    assert said in problems(tmp_path, **context)


def test_a_wait_of_days_is_refused(tmp_path):
    (problem,) = problems(tmp_path, holds=[{**HOLD, "wait": "2d"}])
    assert "context.holds[0].wait" in problem


@pytest.mark.parametrize(
    "client",
    [
        {"type": "json", "parameters": {"paths": ["/o"]}},
        {"type": "measurement_protocol", "parameters": {"from_devices": True}},
    ],
)
def test_a_client_that_takes_the_sender_for_the_visitor_is_warned_about(tmp_path, client):
    clients = [CLIENTS[0], {"name": "Shop", "priority": 1, **client}]
    (problem,) = problems(tmp_path, clients)
    assert problem.startswith('warning client "Shop".parameters.')
    assert "so they inherit none" in problem
