"""Every API by name, over a request without anything in it: what tests of a template get unmocked.

Nothing is sent: what would wait for an answer gives a promise that is never settled (SPEC: sandbox-api 4.5).
"""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_convert import copy_value, to_number, to_text
from sgtm._fast.sandbox_values import HostObject, Native, Promise, Run, ScriptError
from sgtm.templates.apis.chance import call_later
from sgtm.templates.apis.guard import asked_values
from sgtm.templates.apis.logging import line_of
from sgtm.templates.arguments import argument
from sgtm.templates.library import LIBRARY
from sgtm.templates.reader import Template

_TIME_MS = 1_700_000_000_000
"""What getTimestampMillis tells in tests, so that they give the same every time."""
_CONTAINER = {
    "containerId": "GTM-TEST",
    "version": "1",
    "debugMode": False,
    "previewMode": False,
    "environmentMode": False,
    "environmentName": "",
}
_NOTHING = (
    *("setResponseStatus", "setResponseHeader", "setResponseBody", "setPixelResponse", "setCookie"),
    *("returnResponse", "claimRequest", "runContainer", "addEventCallback", "addMessageListener"),
    *("sendMessage",),
)
_WAITING = ("sendHttpRequest", "sendHttpGet", "getGoogleScript", "sendEventToGoogleAnalytics")
_VALUES: dict[str, Any] = {
    "getRequestHeader": "",
    "getRequestBody": UNSET,
    "getRequestMethod": "GET",
    "getRequestPath": "/",
    "getRequestQueryParameter": UNSET,
    "getRequestQueryParameters": {},
    "getRequestQueryString": "",
    "getRemoteAddress": "",
    "getCookieValues": [],
    "isRequestMpv1": False,
    "isRequestMpv2": False,
    "getClientName": "",
    "getAllEventData": {},
    "getEventData": UNSET,
    "getContainerVersion": _CONTAINER,
    "sendPixelFromBrowser": False,
    "hasMessageListener": False,
    "getTimestamp": _TIME_MS,
    "getTimestampMillis": _TIME_MS,
    "getGoogleAuth": {},
    "hmacSha256": "",
}


def empty_request(template: Template | None, log: list[str]) -> dict[str, Any]:
    """The table of all APIs. `log` takes the lines that `logToConsole` writes."""
    return {
        **LIBRARY,
        **{name: Native(name, _constant(value)) for name, value in _VALUES.items()},
        **{name: Native(name, _constant(UNSET)) for name in _NOTHING},
        **{name: Native(name, lambda run, args: Promise(run)) for name in _WAITING},
        **{
            name: Native(name, _wrong_request(name))
            for name in ("extractEventsFromMpv1", "extractEventsFromMpv2")
        },
        "generateRandom": Native("generateRandom", _smallest),
        "logToConsole": Native("logToConsole", _logger(log)),
        "callLater": Native("callLater", call_later),
        "queryPermission": Native("queryPermission", _permission_query(template)),
        "templateDataStorage": _storage(),
        "BigQuery": HostObject(
            "BigQuery", {"insert": Native("BigQuery.insert", lambda run, args: Promise(run))}
        ),
        "Firestore": HostObject(
            "Firestore",
            {
                name: Native(f"Firestore.{name}", lambda run, args: Promise(run))
                for name in ("read", "write", "query", "runTransaction")
            },
        ),
    }


def _constant(value: Any) -> Callable[[Run, list[Any]], Any]:
    return lambda run, args: copy_value(run, value)


def _wrong_request(name: str) -> Callable[[Run, list[Any]], Any]:
    def refuse(run: Run, args: list[Any]) -> Any:
        raise ScriptError(f"{name}: the request is no hit of that form")

    return refuse


def _smallest(run: Run, args: list[Any]) -> Any:
    return to_number(run, argument(args, 0))


def _logger(log: list[str]) -> Callable[[Run, list[Any]], Any]:
    def write(run: Run, args: list[Any]) -> Any:
        line = line_of(run, args)
        if len(log) < _LOG_LINES:
            log.append(line)
        return UNSET

    return write


_LOG_LINES = 1_000


def _permission_query(template: Template | None) -> Callable[[Run, list[Any]], bool]:
    def query(run: Run, args: list[Any]) -> bool:
        name, *asked = asked_values(run, args) or [""]
        return template is not None and template.permissions.allows(to_text(run, name), *asked)

    return query


def _storage() -> HostObject:
    kept: dict[str, Any] = {}

    def get(run: Run, args: list[Any]) -> Any:
        return copy_value(run, kept.get(to_text(run, argument(args, 0))))

    def put(run: Run, args: list[Any]) -> Any:
        kept[to_text(run, argument(args, 0))] = copy_value(run, argument(args, 1))
        return UNSET

    def remove(run: Run, args: list[Any]) -> Any:
        kept.pop(to_text(run, argument(args, 0)), None)
        return UNSET

    def clear(run: Run, args: list[Any]) -> Any:
        kept.clear()
        return UNSET

    functions = {"getItemCopy": get, "setItemCopy": put, "removeItem": remove, "clear": clear}
    return HostObject(
        "templateDataStorage",
        {name: Native(f"templateDataStorage.{name}", function) for name, function in functions.items()},
    )
