"""'Copy as test' gives what `sgtm test` runs and passes (SPEC: requirements R167, R226)."""

import pytest
import yaml
from gtm_templates import URLS, template
from msgspec.structs import replace
from walks import HITS, shop_container, shop_view

from sgtm.cli._cases import Goldens, read_cases, run_case
from sgtm.container.compile import load_container
from sgtm.dry_run import PLAIN_REQUEST, dry_run
from sgtm.messages import VendorAnswer
from sgtm.preview.case import test_case as text_of_case
from sgtm.preview.encoding import Seen, view_of


@pytest.fixture(scope="module")
def shop():
    return shop_container()


def differences(container, text, tmp_path):
    file = tmp_path / "copied.tests.yaml"
    file.write_text(text, "utf-8")
    goldens = Goldens(file, is_updating=False)
    return [line for case in read_cases(file) for line in run_case(container, case, goldens)]


@pytest.mark.parametrize("hit", HITS)
def test_a_copied_test_passes_as_it_is(shop, hit, tmp_path):
    assert differences(shop, text_of_case(shop_view(shop, hit)), tmp_path) == []


def test_a_copied_test_fails_where_the_container_does_something_else(shop, tmp_path):
    text = text_of_case(shop_view(shop, "3-purchase"))
    other = replace(shop, tags_by_event={}, tags_of_other_events=(), selections={})
    assert any("Meta" in line for line in differences(other, text, tmp_path))


def test_a_request_with_a_credential_becomes_its_events(shop, tmp_path):
    pair = (b"authorization", b"Bearer very-secret-1")
    text = text_of_case(shop_view(shop, "6-webhook", headers=(pair,)))
    assert "very-secret-1" not in text
    assert "event:" in text
    assert differences(shop, text, tmp_path) == []


def test_what_belongs_to_a_connection_is_not_copied(shop):
    headers = ((b"host", b"sst.shop.example"), (b"content-length", b"3"), (b"accept", b"*/*"))
    (case,) = yaml.safe_load(text_of_case(shop_view(shop, "6-webhook", headers=headers)))
    assert case["request"]["headers"] == {"accept": "*/*"}
    assert case["request"]["host"] == "sst.shop.example"


def test_a_request_that_nobody_claimed_is_copied_as_it_is_shown(shop, tmp_path):
    pair = (b"authorization", b"Bearer very-secret-1")
    text = text_of_case(shop_view(shop, "6-webhook", path="/nobodys", headers=(pair,)))
    assert "very-secret-1" not in text
    assert yaml.safe_load(text)[0]["expect"]["client"] is None
    assert differences(shop, text, tmp_path) == []


def test_numbers_that_json_has_no_word_for_come_back(shop, tmp_path):
    body = b'{"event_name": "purchase", "order": 12345678901234567890, "tries": 3}'
    pair = (b"authorization", b"Bearer very-secret-1")
    text = text_of_case(shop_view(shop, "6-webhook", headers=(pair,), body=body))
    assert yaml.safe_load(text)[0]["event"]["data"]["order"] == 12345678901234567890
    assert differences(shop, text, tmp_path) == []


def test_hostile_text_stays_inside_its_value(shop, tmp_path):
    hostile = b"- name: x\n\"'{}[]: #|>\t\x00\xf0\x9f\x98\x80"
    query = b"v=2&tid=G-1&cid=1.2&en=%0A-%20name%3A%20x"
    shown = shop_view(shop, "1-page_view", query=query, headers=((b"user-agent", hostile),))
    assert differences(shop, text_of_case(shown), tmp_path) == []


ASKS = template(
    "TAG",
    """
require('sendHttpRequest')('https://vendor.example/one?key=1', {method: 'POST'}, 'x').then(
  answer => answer.statusCode === 201 ? data.gtmOnSuccess() : data.gtmOnFailure());
""",
    URLS,
)
CONTAINER = {
    "sgtm": 1,
    "consent": {"unset": "granted", "gate": "declared"},
    "clients": [{"name": "Orders", "type": "json", "parameters": {"paths": ["/orders"]}}],
    "tags": [{"name": "Asks", "type": "Asks", "firing_triggers": ["All Events"]}],
    "custom_templates": [{"name": "Asks", "source": ASKS}],
}


def test_templates_are_answered_in_the_copy_as_they_were(tmp_path):
    file = tmp_path / "container.yaml"
    file.write_text(yaml.safe_dump(CONTAINER))
    container = load_container(file)
    request = replace(PLAIN_REQUEST, method="POST", path="/orders", body=b'{"event_name": "order"}')
    answers = {"https://vendor.example/one": VendorAnswer(201, (), b"made")}
    walk = dry_run(container, request, answers=answers)
    text = text_of_case(view_of(walk, request, Seen(id="1", source="session"), container))
    assert yaml.safe_load(text)[0]["answers"] == {
        "https://vendor.example/one": {"status": 201, "body": "made"}
    }
    assert yaml.safe_load(text)[0]["expect"]["fired"] == ["Asks"]
    assert differences(container, text, tmp_path) == []
    assert differences(container, text.replace("status: 201", "status: 500"), tmp_path) != []
