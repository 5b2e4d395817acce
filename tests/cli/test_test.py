"""sgtm test (SPEC: requirements R167)"""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.container.google.exports import export, table, template

ROOT = Path(__file__).parents[2]

GOOD = """
- name: A purchase reaches both
  hit: /g/collect?v=2&tid=G-1&cid=1.2&en=purchase&epn.value=9.9&cu=EUR&gcd=13t3t3t3t5l1
  headers: {User-Agent: Mozilla/5.0}
  expect:
    client: GA4
    status: 204
    events: [{event_name: purchase, value: 9.9, missing: null}]
    fired: [Meta, Warehouse]
    requests:
    - {tag: Meta, method: POST, url: "https://graph.facebook.com/", body: {data.0.event_name: Purchase}}
    - {tag: Warehouse, headers: {Content-Type: application/json}}
- name: An event of the backend
  event: {client: Orders, name: refund, data: {value: 1}}
  expect: {fired: [Warehouse], not_fired: {Meta: trigger}, request_count: 1}
"""


@pytest.fixture
def tests_file(shop):
    def write(text):
        file = shop.with_name("container.tests.yaml")
        file.write_text(text)
        return file

    return write


def test_tests_beside_a_container_are_run_and_passed(sgtm, shop, tests_file):
    tests_file(GOOD)
    done = sgtm("test", shop)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "passed  A purchase reaches both",
        "passed  An event of the backend",
        "2 tests passed",
    ]
    assert sgtm("test", shop, "--filter", "backend", "--quiet").stdout == "1 tests passed\n"


def test_tests_may_stand_in_the_container_itself(sgtm, shop):
    inside = "".join(f"\n{line}" for line in GOOD.strip().splitlines())
    shop.write_text(shop.read_text() + "tests:" + inside + "\n")
    assert sgtm("check", shop).returncode == 0
    assert sgtm("test", shop).stdout.endswith("2 tests passed\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("client: GA4", "client: Orders"), 'client: expected "Orders", got "GA4"'),
        (("status: 204", "status: 200"), "status: expected 200, got 204"),
        (("value: 9.9, missing", "value: 9.8, missing"), "event 1: value: expected 9.8, got 9.9"),
        (("missing: null", "currency: null"), 'event 1: currency: expected nothing, got "EUR"'),
        (("missing: null", "page_location: x"), 'event 1: page_location: expected "x", got undefined'),
        (("fired: [Meta, Warehouse]", "not_fired: [Meta]"), "tag 'Meta' fired"),
        (("fired: [Warehouse], not", "fired: [Meta], not"), "tag 'Meta' did not fire: not triggered"),
        (("fired: [Warehouse], not", "fired: [Matomo], not"), "there is no such tag"),
        (("{Meta: trigger}", "{Meta: consent}"), "did not fire for another reason: not triggered"),
        (("request_count: 1", "request_count: 2"), "requests: expected 2, got 1"),
        (("method: POST", "method: GET"), "method: expected GET, got POST"),
        (("https://graph", "https://other"), "url: expected https://other"),
        (("Purchase}", "Lead}"), 'body data.0.event_name: expected "Lead", got "Purchase"'),
        (("application/json", "text/plain"), "header content-type: expected"),
        (("- {tag: Warehouse,", "- {tag: Matomo,"), "tag 'Matomo' sent no request"),
        (("request_count: 1", "cookies: [FPID]"), "cookie 'FPID' is not set"),
        (("epn.value=9.9", "epn.value=9.9&en=x"), "events: expected"),
    ],
)
def test_what_is_not_as_expected_fails_and_is_said(sgtm, shop, tests_file, change, said):
    text = GOOD.replace(*change)
    if said == "events: expected":
        text = GOOD.replace("events: [{", "events: [{a: null}, {")
    assert text != GOOD
    tests_file(text)
    done = sgtm("test", shop)
    assert done.returncode == 1
    assert said in done.stdout
    assert done.stdout.endswith("2 tests, 1 failed\n")


def test_golden_files_hold_all_that_follows(sgtm, shop, tests_file):
    tests_file(GOOD + "  golden: true\n")
    assert "run with --update" in sgtm("test", shop).stdout
    done = sgtm("test", shop, "--update")
    golden = shop.with_name("container.golden.yaml")
    assert done.stdout.splitlines()[-2:] == [f"wrote {golden}", "2 tests passed"]
    assert "https://warehouse.example:8443/orders" in golden.read_text()
    assert sgtm("test", shop).returncode == 0
    shop.write_text(shop.read_text().replace("warehouse.example", "store.example"))
    failed = sgtm("test", shop)
    assert failed.returncode == 1
    assert (
        'requests.0.url: golden "https://warehouse.example:8443/orders", now "https://store.example:8443/orders"'
        in failed.stdout
    )


def test_variables_can_be_given_values(sgtm, shop, tests_file):
    shop.write_text(shop.read_text().replace("8443/orders", "8443/{{Page Path}}"))
    tests_file("""
- name: A path of its own
  event: {name: refund}
  variables: {Page Path: here}
  expect: {requests: [{url: "https://warehouse.example:8443/here"}]}
- name: No path
  event: {name: refund, data: {page_location: "https://shop.example/there"}}
  variables: {Page Path: null}
  expect: {requests: [{url: "https://warehouse.example:8443/"}]}
""")
    done = sgtm("test", shop)
    assert done.returncode == 0, done.stdout


def test_results_are_written_for_a_ci_server(sgtm, shop, tests_file, tmp_path):
    tests_file(
        GOOD.replace("status: 204", "status: 200").replace("reaches both", "reaches \\x1b both & <all>")
    )
    assert sgtm("test", shop, "--junit", tmp_path / "results.xml").returncode == 1
    (suite,) = ElementTree.parse(tmp_path / "results.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert suite.find("testcase/failure").get("message") == "status: expected 200, got 204"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "is no list of tests"),
        ("- {name: a}", "needs exactly one input"),
        ("- {name: a, hit: /x, event: {name: e}}", "needs exactly one input"),
        ("- name: a\n  hit: /x\n  expect: {colour: red}", ":3: expect: "),
        ("- name: a\n  hit: [", "container.tests.yaml:"),
        ("[]", "there is no test"),
        ("- {name: a, recorded: missing.http}", "No such file"),
        ("- {name: a, hit: x}", "is no hit"),
    ],
)
def test_a_mistake_in_the_tests_is_a_sentence_with_its_line(sgtm, shop, tests_file, text, said):
    tests_file(text)
    done = sgtm("test", shop)
    assert done.returncode == 2
    assert said in done.stderr


def test_no_tests_at_all_is_an_error(sgtm, shop, tmp_path):
    done = sgtm("test", shop)
    assert done.returncode == 2
    assert "container.tests.yaml" in done.stderr
    assert sgtm("test", shop, tmp_path / "missing.yaml").returncode == 2


@pytest.mark.parametrize(("example", "count"), [("shop", 5), ("rules", 6), ("sources", 7)])
def test_the_tests_of_the_examples_pass(sgtm, example, count):
    path = ROOT / "examples" / example / "container.yaml"
    done = sgtm("test", path, env={"META_PIXEL_ID": "123", "META_ACCESS_TOKEN": "t"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"{count} tests passed\n")


def test_no_secret_of_an_export_is_written_into_a_golden_file(sgtm, tmp_path):
    rows = table("eventParameters", {"name": "api_secret", "value": "invented-1"})
    tag = {
        "name": "T",
        "type": "sgtmgaaw",
        "firingTriggerId": ["2147479574"],
        "parameter": [rows, template("measurementId", "G-1")],
    }
    (tmp_path / "GTM-1.json").write_bytes(export(tag=[tag]))
    (tmp_path / "GTM-1.tests.yaml").write_text("- {name: A, event: {name: e, client: GA4}, golden: true}\n")
    for words in (["--update"], []):
        done = sgtm("test", tmp_path / "GTM-1.json", *words)
        assert done.returncode == 0, done.stdout + done.stderr
    golden = (tmp_path / "GTM-1.golden.yaml").read_text()
    assert "ep.api_secret=${" in golden
    assert "invented-1" not in golden
