"""sgtm explain (SPEC: requirements R160, R164, R266)"""

import json

import pytest

from sgtm.cli._inputs import read_recorded
from tests.container.google.exports import export, table, template

HIT = "/g/collect?v=2&tid=G-1&cid=1.2&en=purchase&epn.value=9.9&cu=EUR&gcd=13t3t3t3t5l1"


def test_it_says_who_declined_who_claimed_and_what_each_tag_sends(sgtm, shop):
    hit = f"POST https://sst.shop.example{HIT}"
    done = sgtm("explain", shop, "--hit", hit, "--header", "User-Agent: Mozilla/5.0")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == "request   POST /g/collect"
    assert "client    GA4: claimed it" in lines
    assert "data      value: 9.9" in lines
    assert "tag       Meta: fired" in lines
    assert "sends    POST https://graph.facebook.com/v25.0/123/events" in lines
    assert lines.index("tag       Warehouse: fired") < lines.index("tag       Meta: fired"), "firing order"
    assert "answer    204, 0 bytes" in lines
    assert "t" not in [word for line in lines for word in line.split()], "the token's value is nowhere"


def test_it_says_why_a_tag_does_not_fire_and_why_nobody_claims(sgtm, shop):
    done = sgtm(
        "explain", shop, "--hit", HIT.replace("purchase", "Purchase").replace("13t3t3t3t5l1", "13p3p3p3p5l1")
    )
    assert "tag       Meta: not triggered" in done.stdout
    denied = sgtm("explain", shop, "--hit", HIT.replace("13t3t3t3t5l1", "13p3p3p3p5l1"), "--tag", "Meta")
    assert (
        "tag       Meta: blocked by consent, consent not granted: ad_storage, ad_user_data" in denied.stdout
    )
    assert "Warehouse" not in denied.stdout
    nobody = sgtm("explain", shop, "--hit", "/nothing")
    assert "client    none claimed it" in nobody.stdout
    assert "client    GA4: declined" in nobody.stdout
    assert nobody.returncode == 0


def test_an_event_needs_no_request_and_no_client(sgtm, shop, tmp_path):
    # SPEC: sandbox-api 5.10.3, 4: events with a client name as input
    event = json.dumps({"name": "purchase", "data": {"currency": "EUR", "user_id": None}})
    done = sgtm("explain", shop, "--event", event, "--client", "GA4", "--format", "json")
    walk = json.loads(done.stdout)
    assert walk["claimed_by"] == "GA4"
    assert walk["events"][0]["data"] == {"event_name": "purchase", "currency": "EUR", "user_id": None}
    file = tmp_path / "event.json"
    file.write_text(event)
    assert json.loads(sgtm("explain", shop, "--event", f"@{file}", "--format", "json").stdout)["events"]


def test_a_recorded_request_and_one_written_as_json_are_taken(sgtm, shop, tmp_path):
    recorded = tmp_path / "hit.http"
    recorded.write_text(
        f"# a hit\nGET {HIT} HTTP/1.1\nHost: sst.shop.example\nX-Forwarded-For: 198.51.100.7\n\n"
    )
    assert 'data      ip_override: "198.51.100.7"' in sgtm("explain", shop, "--request", recorded).stdout
    written = tmp_path / "hit.json"
    written.write_text(json.dumps({"target": HIT, "headers": {"User-Agent": "own"}, "remote_address": "::1"}))
    assert 'data      user_agent: "own"' in sgtm("explain", shop, "--request", written).stdout


def test_a_header_of_a_recorded_request_may_stand_twice(tmp_path):
    recorded = tmp_path / "hit.http"
    recorded.write_text(f"# a hit\nGET {HIT} HTTP/1.1\nHost: sst.shop.example\nCookie: a=1\nCookie: b=2\n\n")
    headers = read_recorded(recorded, 0).headers
    assert [value for name, value in headers if name == b"cookie"] == [b"a=1", b"b=2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hit", "one two three"], "is no hit"),
        (["--hit", "purchase"], "is no hit"),
        (["--hit", HIT, "--header", "no colon"], "is no header"),
        (["--event", "{"], "--event"),
        (["--event", '{"name": 1}'], "expected `str`"),
        (["--request", "missing.json"], "No such file"),
        (["--request", "missing.http"], "No such file"),
        (["--hit", HIT, "--tag", "Nope"], "there are: Warehouse, Meta"),
    ],
)
def test_mistakes_are_a_sentence(sgtm, shop, words, said):
    done = sgtm("explain", shop, *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_nothing_that_is_explained_can_steer_the_terminal(sgtm, shop):
    # SPEC: reliability 5, rule 7
    done = sgtm("explain", shop, "--hit", HIT + "&ep.x=%1b[2J%e2%80%ae")
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


@pytest.mark.parametrize("words", [[], ["--format", "json"]])
def test_no_secret_of_an_export_or_of_the_environment_is_told(sgtm, tmp_path, words):
    # what is explained is pasted into tickets
    rows = table(
        "eventParameters", {"name": "api_secret", "value": "invented+1"}, {"name": "b", "value": "{{Token}}"}
    )
    source = export(
        client=[{"name": "GA4", "type": "gaaw_client"}],
        tag=[{"name": "T", "type": "sgtmgaaw", "firingTriggerId": ["2147479574"], "parameter": [rows]}],
        variable=[{"name": "Token", "type": "c", "parameter": [template("value", "")]}],
    )
    (tmp_path / "GTM-1.json").write_bytes(source)
    (tmp_path / "sgtm.yaml").write_text("container: {constants: {Token: '${SHOP_TOKEN}'}}\n")
    hit = "/g/collect?v=2&tid=G-1&cid=1.2&en=e"
    files = [tmp_path / "GTM-1.json", "--settings", tmp_path / "sgtm.yaml"]
    done = sgtm("explain", *files, "--hit", hit, *words, env={"SHOP_TOKEN": "invented-2"})
    assert done.returncode == 0, done.stderr
    assert "ep.b=${SHOP_TOKEN}" in done.stdout
    for secret in ("invented+1", "invented%2B1", "invented-2"):
        assert secret not in done.stdout


MATCHED_AND_SAMPLED = """sgtm: 1
consent: {unset: granted, gate: declared}
clients:
- name: Berlin
  type: ga4
  priority: 2
  match: [{part: header, name: X-Shop, operator: equals, compare_with: berlin}]
- {name: GA4, type: ga4, priority: 1}
tags:
- name: Tenth
  type: http_request
  firing_triggers: [All Events]
  sample: {percent: 10}
  parameters: {url: "https://a.example/"}
- {name: All, type: http_request, firing_triggers: [All Events], parameters: {url: "https://a.example/"}}
"""


def test_it_says_which_match_did_not_hold_and_who_is_not_in_a_sample(sgtm, tmp_path):
    # SPEC: requirements R44, R98; blake2b of "7.1" is at 88 % of 64 bits
    container, hit = tmp_path / "container.yaml", HIT.replace("cid=1.2", "cid=7.1")
    container.write_text(MATCHED_AND_SAMPLED)
    plain = sgtm("explain", container, "--hit", hit)
    assert plain.returncode == 0, plain.stderr
    assert "Berlin: declined, its match `header X-Shop equals berlin` does not hold" in plain.stdout
    assert "client    GA4: claimed it" in plain.stdout
    assert "tag       Tenth: held back, not in the sample of 10 %" in plain.stdout
    assert "tag       All: fired" in plain.stdout
    berlin = sgtm("explain", container, "--hit", hit, "--header", "X-Shop: berlin")
    assert "client    Berlin: claimed it" in berlin.stdout
