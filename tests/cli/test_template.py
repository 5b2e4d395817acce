"""sgtm template check | test (SPEC: sandbox-api 4.5)."""

import os
import signal
import subprocess
import sys
from xml.etree import ElementTree as XML

import pytest
import yaml

from tests.cli.conftest import ROOT

TEMPLATE = """___INFO___

{"type": "TAG", "displayName": "Sender"}

___TEMPLATE_PARAMETERS___

[{"type": "TEXT", "name": "url", "simpleValueType": true}]

___SANDBOXED_JS_FOR_SERVER___

const sendHttpRequest = require('sendHttpRequest');
const getEventData = require('getEventData');
sendHttpRequest(data.url + '?v=' + getEventData('value')).then(
  () => data.gtmOnSuccess(), () => data.gtmOnFailure());

___SERVER_PERMISSIONS___

[{"instance": {"key": {"publicId": "send_http", "versionId": "1"}, "param": []}},
 {"instance": {"key": {"publicId": "read_event_data", "versionId": "1"}, "param": []}}]

___TESTS___

scenarios:
- name: it sends
  code: |-
    mock('getEventData', key => key + '!');
    mock('sendHttpRequest', url => Promise.create((resolve) => resolve({statusCode: 200})));
    runCode({url: 'https://h.example'});
    assertApi('sendHttpRequest').wasCalledWith('https://h.example?v=value!');
    assertApi('gtmOnSuccess').wasNotCalled();
    callLater(() => assertApi('gtmOnSuccess').wasCalled());
- name: it tells a failure
  code: |-
    mock('sendHttpRequest', Promise.create((resolve, reject) => reject({reason: 'failed'})));
    runCode({url: 'https://h.example'});
    callLater(() => {
      assertApi('gtmOnFailure').wasCalled();
      assertThat(done).isEqualTo(1);
    });
setup: |-
  const Promise = require('Promise');
  const callLater = require('callLater');
  const done = 1;
"""


@pytest.fixture
def tpl(tmp_path):
    path = tmp_path / "sender.tpl"
    path.write_text(TEMPLATE)
    return path


def test_tests_of_a_template_run_and_pass(sgtm, tpl):
    done = sgtm("template", "test", tpl)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines() == [
        "passed  sender.tpl: it sends",
        "passed  sender.tpl: it tells a failure",
        "2 tests passed",
    ]


def test_a_failed_test_says_what_was_expected_and_junit_has_it(sgtm, tpl, tmp_path):
    tpl.write_text(TEMPLATE.replace("isEqualTo(1)", "isEqualTo({a: 2})"))
    done = sgtm("template", "test", tmp_path, "--quiet", "--junit", "out.xml")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "FAILED  sender.tpl: it tells a failure",
        '        expected that 1 is equal to {"a":2}',
        "2 tests, 1 failed",
    ]
    suite = XML.parse(tmp_path / "out.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_an_error_of_the_template_names_the_line_of_the_file(sgtm, tpl):
    tpl.write_text(TEMPLATE.replace("getEventData('value')", "data.a.b"))
    done = sgtm("template", "test", tpl, "--filter", "it sends")
    assert "template, line 13, column 42: cannot read 'b' of undefined" in done.stdout
    assert "1 test, 1 failed" in done.stdout


def test_an_error_of_the_test_names_the_line_of_the_file(sgtm, tpl):
    tpl.write_text(TEMPLATE.replace("assertApi('gtmOnSuccess').wasNotCalled()", "nothing.x()"))
    done = sgtm("template", "test", tpl)
    assert "test, line 30: cannot read 'x' of undefined" in done.stdout


@pytest.mark.parametrize("words", [["none.tpl"], ["."], []])
def test_what_is_not_there_is_a_mistake_of_the_user(sgtm, words):
    assert sgtm("template", "test", *words).returncode == 2


def test_a_good_template_passes_the_check(sgtm, tpl):
    done = sgtm("template", "check", tpl)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 template, 0 errors, 0 warnings")


@pytest.mark.parametrize(
    ("old", "new", "status", "said"),
    [
        ("require('getEventData')", "require('getEventdata')", 1, "did you mean getEventData?"),
        ("data.url +", "data.ulr +", 0, "did you mean url?"),
        ("send_http", "read_request", 0, "sendHttpRequest needs the permission send_http"),
        ('"type": "TEXT"', '"type": "TXT"', 1, "did you mean TEXT?"),
        ("const sendHttpRequest =", "new", 1, "new is not in the dialect"),
        ("+ getEventData", "+ getEventDat", 0, "getEventDat is declared nowhere"),
        ("'?v='", "'?v='.repeat(2)", 0, "no method repeat"),
        ("isEqualTo(1)", "isEqualTo(`1`)", 1, "template literals"),
        ('"type": "TAG"', '"type" "TAG"', 1, "___INFO___, line 3"),
    ],
)
def test_the_check_says_what_is_wrong(sgtm, tpl, old, new, status, said):
    tpl.write_text(TEMPLATE.replace(old, new))
    done = sgtm("template", "check", tpl)
    assert said in done.stdout
    assert done.returncode == status


def test_a_new_template_passes_its_tests_and_a_container_with_it_is_good(sgtm, tmp_path):
    snippets = {}
    for kind in ("tag", "client", "variable"):
        done = sgtm("template", "new", kind, f"templates/my_{kind}.tpl")
        assert done.returncode == 0, done.stderr
        text = done.stdout.partition("uses it so:\n\n")[2].partition("\n\n")[0]
        for key, value in yaml.safe_load(text).items():
            snippets.setdefault(key, []).extend(value)
    assert "6 tests passed" in sgtm("template", "test", "templates").stdout
    assert sgtm("template", "check", "templates").stdout.endswith("0 errors, 0 warnings\n")
    data = {"sgtm": 1, "consent": {"unset": "denied", "gate": "all"}, "tolerates_unknown": True, **snippets}
    (tmp_path / "container.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    checked = sgtm("check", "container.yaml")
    assert (checked.returncode, "my_" in checked.stdout + checked.stderr) == (0, False), checked.stdout
    listed = sgtm("list", "--container", "container.yaml").stdout
    for kind, field in (("tag", "accountId"), ("client", "path"), ("variable", "keyPath")):
        assert f"{kind}: {field}" in listed
    again = sgtm("template", "new", "tag", "templates/my_tag.tpl")
    assert (again.returncode, "is there already" in again.stderr) == (2, True)


def test_watching_runs_the_tests_of_what_has_changed(tmp_path):
    (tmp_path / "a.tpl").write_text(TEMPLATE)
    command = [sys.executable, "-m", "sgtm", "template", "test", str(tmp_path), "--watch"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert _until_it_waits(process)
            (tmp_path / "a.tpl").write_text(TEMPLATE.replace("it sends", "it sends once more"))
            assert any("it sends once more" in line for line in _until_it_waits(process))
            process.send_signal(signal.SIGINT)
            assert process.wait(10) in (0, 1)
        finally:
            process.kill()


def _until_it_waits(process):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("-- waiting"):
            break
    return lines
