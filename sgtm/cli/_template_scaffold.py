"""Text of the files that `sgtm template new` writes: a small template that works, with tests of its own."""

import json
from typing import Any

_TAG = """\
const getAllEventData = require('getAllEventData');
const JSON = require('JSON');
const logToConsole = require('logToConsole');
const sendHttpRequest = require('sendHttpRequest');

const event = getAllEventData();
const body = JSON.stringify({account: data.accountId, name: event.event_name, page: event.page_location});
const options = {method: 'POST', headers: {'Content-Type': 'application/json'}, timeout: 3000};

sendHttpRequest('https://api.example.com/events', options, body).then(
  answer => {
    if (answer.statusCode >= 200 && answer.statusCode < 300) {
      data.gtmOnSuccess();
    } else {
      logToConsole('refused with', answer.statusCode);
      data.gtmOnFailure();
    }
  },
  data.gtmOnFailure);
"""
_TAG_TESTS = """\
scenarios:
- name: An event is sent with the account
  code: |-
    mock('getAllEventData', {event_name: 'purchase', page_location: 'https://shop.example/'});
    mock('sendHttpRequest', (url, options, body) => {
      const sent = require('JSON').parse(body);
      assertThat(sent.account).isEqualTo('A-1');
      assertThat(sent.name).isEqualTo('purchase');
      return Promise.create(resolve => resolve({statusCode: 200}));
    });
    runCode({accountId: 'A-1'});
    require('callLater')(() => assertApi('gtmOnSuccess').wasCalled());
- name: A refusal is a failure
  code: |-
    mock('sendHttpRequest', () => Promise.create(resolve => resolve({statusCode: 400})));
    runCode({accountId: 'A-1'});
    require('callLater')(() => assertApi('gtmOnFailure').wasCalled());
"""
_CLIENT = """\
const claimRequest = require('claimRequest');
const getRequestPath = require('getRequestPath');
const getRequestQueryParameters = require('getRequestQueryParameters');
const returnResponse = require('returnResponse');
const runContainer = require('runContainer');
const setResponseStatus = require('setResponseStatus');

if (getRequestPath() !== data.path) {
  return;
}
claimRequest();
const query = getRequestQueryParameters();
runContainer({event_name: query.name || 'hit', page_location: query.page}, () => {
  setResponseStatus(204);
  returnResponse();
});
"""
_CLIENT_TESTS = """\
scenarios:
- name: A request to the path is claimed, and its query is the event
  code: |-
    mock('getRequestPath', '/hit');
    mock('getRequestQueryParameters', {name: 'sign_up'});
    mock('runContainer', (event, onComplete) => {
      assertThat(event.event_name).isEqualTo('sign_up');
      onComplete();
    });
    runCode({path: '/hit'});
    assertApi('claimRequest').wasCalled();
    assertApi('returnResponse').wasCalled();
- name: Another path is somebody else's
  code: |-
    mock('getRequestPath', '/other');
    runCode({path: '/hit'});
    assertApi('claimRequest').wasNotCalled();
"""
_VARIABLE = """\
const getEventData = require('getEventData');
const makeString = require('makeString');

const value = getEventData(data.keyPath);
if (value === undefined) {
  return undefined;
}
return makeString(value).toLowerCase();
"""
_VARIABLE_TESTS = """\
scenarios:
- name: A text is in lower case
  code: |-
    mock('getEventData', 'EUR');
    assertThat(runCode({keyPath: 'currency'})).isEqualTo('eur');
- name: What is missing stays undefined
  code: |-
    mock('getEventData', undefined);
    assertThat(runCode({keyPath: 'currency'})).isUndefined();
"""


def _text(value: str) -> dict[str, Any]:
    return {"type": 1, "string": value}


_ANY_EVENT = {"eventDataAccess": _text("any")}
_URLS = {
    "allowedUrls": _text("specific"),
    "urls": {"type": 2, "listItem": [_text("https://api.example.com/*")]},
}
_KINDS: dict[str, tuple[str, str, str, str, str, dict[str, dict[str, Any]]]] = {
    "tag": (
        "TAG",
        _TAG,
        _TAG_TESTS,
        "accountId",
        '"A-1"',
        {"read_event_data": _ANY_EVENT, "send_http": _URLS, "logging": {"environments": _text("debug")}},
    ),
    "client": (
        "CLIENT",
        _CLIENT,
        _CLIENT_TESTS,
        "path",
        "/hit",
        {
            "read_request": {"requestAccess": _text("any")},
            "access_response": {"writeResponseAccess": _text("any")},
            "return_response": {},
            "run_container": {},
        },
    ),
    "variable": ("MACRO", _VARIABLE, _VARIABLE_TESTS, "keyPath", "currency", {"read_event_data": _ANY_EVENT}),
}
KINDS = tuple(_KINDS)


def template_text(kind: str, name: str) -> str:
    """The .tpl file of a new template."""
    type_, code, tests, field, _, permissions = _KINDS[kind]
    info = {
        "type": type_,
        "id": "cvt_temp_public_id",
        "version": 1,
        "securityGroups": [],
        "displayName": name.replace("_", " ").capitalize(),
        "description": "Say in one sentence what it does.",
        "containerContexts": ["SERVER"],
    }
    fields = [
        {
            "type": "TEXT",
            "name": field,
            "displayName": field,
            "simpleValueType": True,
            "valueValidators": [{"type": "NON_EMPTY"}],
        }
    ]
    granted = [
        {
            "instance": {
                "key": {"publicId": permission, "versionId": "1"},
                "param": [{"key": key, "value": value} for key, value in parameters.items()],
            },
            "isRequired": True,
        }
        for permission, parameters in permissions.items()
    ]
    sections = {
        "INFO": json.dumps(info, indent=2),
        "TEMPLATE_PARAMETERS": json.dumps(fields, indent=2),
        "SANDBOXED_JS_FOR_SERVER": code,
        "SERVER_PERMISSIONS": json.dumps(granted, indent=2),
        "TESTS": tests,
        "NOTES": "",
    }
    return "\n\n".join(f"___{title}___\n\n{text.strip()}" for title, text in sections.items()).strip() + "\n"


def container_snippet(kind: str, name: str, file: str) -> str:
    """Lines of a container.yaml that use it."""
    _, _, _, field, value, _ = _KINDS[kind]
    fires = '\n    firing_triggers: ["All Events"]' if kind == "tag" else ""
    return (
        f"custom_templates:\n  - {{name: {name}, file: {file}}}\n"
        f"{kind}s:\n  - name: {name.replace('_', ' ').capitalize()}\n    type: {name}{fires}\n"
        f"    parameters: {{{field}: {value}}}\n"
    )
