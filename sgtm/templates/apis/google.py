"""Google's services: getGoogleAuth, getGoogleScript, sendEventToGoogleAnalytics, BigQuery.insert.

SPEC: sandbox-api 1.4; BigQuery REST reference, v2 `tabledata.insertAll`. A service account is named, never
held: the sender puts its token in.
"""

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from sgtm._fast.sandbox_border import house_value, whole_text
from sgtm._fast.sandbox_convert import is_true, to_number, to_text
from sgtm._fast.sandbox_sending import answer_body, answer_headers, reason_object
from sgtm._fast.sandbox_values import Callable, Promise, Run, ScriptError
from sgtm.messages import CredentialUse, GoogleServiceAccount, OutgoingRequest, VendorAnswer
from sgtm.protocols.gtag import encode_hit
from sgtm.templates.apis.chance import chance_of
from sgtm.templates.apis.declaration import api
from sgtm.templates.apis.guard import demand
from sgtm.templates.apis.http import GoogleAuth
from sgtm.templates.apis.sending import DEFAULT_TIMEOUT_S, LINES, MAX_TIMEOUT_S, Rejection
from sgtm.templates.arguments import Arguments, argument, refused
from sgtm.templates.host import host_of


def credential_for(run: Run, scope: str) -> CredentialUse | None:
    """The service account's token; None where none is configured, as emulators want it."""
    name = host_of(run).services.service_account
    if not name:
        return None
    return CredentialUse(name, "header", "Authorization", "Bearer ", GoogleServiceAccount(name, scope))


@api("getGoogleAuth", "use_google_credentials", cost=10)
def get_google_auth(run: Run, args: Arguments) -> GoogleAuth:
    """What `authorization` of sendHttpRequest takes: the server's service account, for some scopes."""
    given = argument(args, 0)
    listed = given.get("scopes") if isinstance(given, dict) else UNSET
    scopes = [whole_text(to_text(run, one)) for one in (listed if isinstance(listed, list) else [listed])]
    run.make_elements(len(scopes))
    demand(run, "getGoogleAuth", "use_google_credentials", scopes, shown=" ".join(scopes))
    credential = credential_for(run, " ".join(scopes))
    if credential is None:
        what = "getGoogleAuth: the server has no service account; set google_credentials_file"
        raise ScriptError(what)
    return GoogleAuth(credential)


def _rejected(run: Run, reason: str) -> Promise:
    promise = Promise(run)
    promise.reject(reason_object(run, reason))
    return promise


def project_of(run: Run, options: dict[str, Any]) -> str:
    """The project that a call names, else the server's."""
    project = options.get("projectId", UNSET)
    own = host_of(run).services.project
    return own if project in (UNSET, None, "") else whole_text(to_text(run, project))


def demand_in_project(
    run: Run, api: str, permission: str, operation: str, asked: dict[str, Any], project: str
) -> None:
    """As `demand`; a permission may name the project, or say that it is the server's own."""
    host = host_of(run)
    names = [project, ""] if project == host.services.project else [project]
    if not any(host.permissions.allows(permission, operation, {**asked, "projectId": one}) for one in names):
        shown = "/".join(str(one) for one in (project, *asked.values()))
        demand(run, api, permission, operation, {**asked, "projectId": project}, shown=f"{operation} {shown}")
    if not project:
        raise ScriptError(f"{api}: no projectId is given, and the server has none; set google_project")


def check_answer(run: Run, answer: VendorAnswer) -> Any:
    """What Google says, decoded. Raises Rejection with Google's name of the error as its reason."""
    try:
        said = msgspec.json.decode(answer.body) if answer.body else {}
    except (ValueError, RecursionError):
        said = {}
    if 200 <= answer.status < 300:
        return said
    error = said.get("error") if isinstance(said, dict) else None
    status = error.get("status") if isinstance(error, dict) else None
    name = status.lower() if isinstance(status, str) and status.isascii() else f"http_{answer.status}"
    raise Rejection(reason_object(run, "not_found" if answer.status == 404 else name[:60]))


# -- scripts and analytics -----------------------------------------------------------------------------

_SCRIPTS = {"ANALYTICS": "/analytics.js", "GTAG": "/gtag/js", "GTM": "/gtm.js"}


@api("getGoogleScript", "send_http", cost=20)
def get_google_script(run: Run, args: Arguments) -> Promise:
    """Fetches analytics.js, gtag.js or gtm.js: a promise of `{script, metadata}`."""
    name, options = to_text(run, argument(args, 0)), argument(args, 1)
    options = options if isinstance(options, dict) else {}
    if name not in _SCRIPTS:
        raise ScriptError("getGoogleScript knows ANALYTICS, GTAG and GTM")
    services = host_of(run).services
    identifier = options.get("id", UNSET)
    query = {} if identifier in (UNSET, None) else {"id": whole_text(to_text(run, identifier))}
    path = "/analytics_debug.js" if name == "ANALYTICS" and is_true(options.get("debug")) else _SCRIPTS[name]
    url = f"{services.analytics if name == 'ANALYTICS' else services.scripts}{path}"
    demand(run, "getGoogleScript", "send_http", url, shown=url)
    milliseconds = to_number(run, options.get("timeout", UNSET))
    timeout_s = min(milliseconds / 1000, MAX_TIMEOUT_S) if milliseconds > 0 else DEFAULT_TIMEOUT_S
    request = OutgoingRequest("GET", f"{url}?{urlencode(query)}" if query else url)

    def read(answer: VendorAnswer) -> dict[str, Any]:
        if answer.status != 200:
            raise Rejection(reason_object(run, "failed"))
        run.make_elements(5)
        headers = answer_headers(run, answer)
        metadata = {
            key: headers[key] for key in ("cache-control", "expires", "last-modified") if key in headers
        }
        return {"script": answer_body(run, answer), "metadata": metadata}

    return LINES.promised(run, request, timeout_s, read)


@api("sendEventToGoogleAnalytics", "send_http", cost=50)
def send_event_to_google_analytics(run: Run, args: Arguments) -> Promise:
    """Sends event data to GA4: a promise of `{location}` if Google answers with a redirect.

    User data in readable form stay here: they may leave hashed only (`x-ga-em`)."""
    given = argument(args, 0)
    if not isinstance(given, dict):
        raise refused("sendEventToGoogleAnalytics", args)
    host = host_of(run)
    url = f"{host.services.analytics}/g/collect"
    demand(run, "sendEventToGoogleAnalytics", "send_http", url, shown=url)
    data = {"x-ga-protocol_version": "2", **house_value(run, given)}
    data.pop("user_data", None)
    if not data.get("x-ga-measurement_id") or not data.get("event_name"):
        host.say("sendEventToGoogleAnalytics: not sent, it takes event_name and x-ga-measurement_id")
        return _rejected(run, "failed")
    run.charge(len(data))
    target, body = encode_hit(data, url)
    run.make_text(len(target) + len(body))
    request = OutgoingRequest("POST", target, (("Content-Type", "text/plain;charset=UTF-8"),), body)

    def read(answer: VendorAnswer) -> dict[str, Any]:
        if answer.status >= 400:
            raise Rejection(reason_object(run, "failed"))
        run.make_elements(1)
        location = answer.header("location")
        return {} if location is None else {"location": location}

    return LINES.promised(run, request, DEFAULT_TIMEOUT_S, read)


# -- BigQuery ------------------------------------------------------------------------------------------

BIGQUERY_SCOPE = "https://www.googleapis.com/auth/bigquery"


@api("BigQuery.insert", "access_bigquery", cost=50)
def bigquery_insert(run: Run, args: Arguments) -> Promise:
    """Inserts rows into a table: (table, rows, options), then a promise, or callbacks as older templates."""
    table, rows, options = (argument(args, index) for index in range(3))
    if not isinstance(table, dict) or not isinstance(rows, (list, dict)):
        raise refused("BigQuery.insert", args)
    project = project_of(run, table)
    asked = {key: whole_text(to_text(run, table.get(key, ""))) for key in ("datasetId", "tableId")}
    demand_in_project(run, "BigQuery.insert", "access_bigquery", "write", asked, project)
    place = "/".join(
        f"{kind}/{quote(name, safe='')}"
        for kind, name in zip(("projects", "datasets", "tables"), (project, *asked.values()), strict=True)
    )
    body = _insertion(run, rows if isinstance(rows, list) else [rows], options)
    url = f"{host_of(run).services.bigquery}/bigquery/v2/{place}/insertAll"
    headers = (("Content-Type", "application/json"), ("Accept", "application/json"))
    credential = credential_for(run, BIGQUERY_SCOPE)
    request = replace(OutgoingRequest("POST", url, headers, body), credential=credential)
    promise = LINES.promised(run, request, DEFAULT_TIMEOUT_S, lambda answer: _inserted(run, answer))
    if any(isinstance(argument(args, index), Callable) for index in (3, 4)):
        promise.then(argument(args, 3), argument(args, 4))
    return promise


def _insertion(run: Run, rows: list[Any], options: Any) -> bytes:
    """Rows have ids, always the same for one request: a second copy is dropped by BigQuery."""
    options = options if isinstance(options, dict) else {}
    prefix = chance_of(run, "bigquery").hex()
    body = {
        "ignoreUnknownValues": is_true(options.get("ignoreUnknownValues")),
        "skipInvalidRows": is_true(options.get("skipInvalidRows")),
        "rows": [
            {"insertId": f"{prefix}-{index}", "json": house_value(run, row)} for index, row in enumerate(rows)
        ],
    }
    return encoded(run, body)


def encoded(run: Run, value: Any) -> bytes:
    """JSON of what a script handed over. Raises ScriptError for what JSON cannot say."""
    try:
        body = msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError):
        raise ScriptError("it holds what JSON cannot say") from None
    run.make_text(len(body))
    return body


def _inserted(run: Run, answer: VendorAnswer) -> Any:
    said = check_answer(run, answer)
    errors = said.get("insertErrors") if isinstance(said, dict) else None
    if errors:
        raise Rejection(reason_object(run, "rows_refused"))
    return UNSET
