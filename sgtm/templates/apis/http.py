"""sendHttpRequest and sendHttpGet, in both historical forms: a promise, or a callback as second argument.

An answer of any status is an answer; a promise is rejected with `{reason}` (`failed` or `timed_out`), and a
callback gets the status 0 or -1, when there is none. Redirects are not followed. SPEC: sandbox-api 1.4.
"""

from typing import Any

from sgtm._fast.sandbox_sending import SendHttp
from sgtm._fast.sandbox_values import Opaque, ScriptError
from sgtm.messages import CredentialUse, OutgoingRequest, may_carry_secrets
from sgtm.protocols.outgoing_http import written_headers
from sgtm.templates.apis.declaration import declare
from sgtm.templates.apis.guard import demand
from sgtm.templates.apis.sending import DEFAULT_TIMEOUT_S, LINES, MAX_TIMEOUT_S
from sgtm.templates.permissions import url_parts

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class GoogleAuth(Opaque):
    """What `getGoogleAuth` gives: says which credential a request shows, and holds none."""

    credential: CredentialUse

    def __init__(self, credential: CredentialUse) -> None:
        super().__init__("[object GoogleAuth]")
        self.credential = credential


def _target(url: str) -> str | None:
    parts = url_parts(url)
    return None if parts is None else f"{parts[0]}://{parts[1]}{parts[2]}"


def _credential(name: str, options: dict[str, Any], url: str) -> CredentialUse:
    given = options["authorization"]
    if not isinstance(given, GoogleAuth):
        raise ScriptError(
            f"{name}: authorization takes what getGoogleAuth gives; write other ones as headers"
        )
    if not may_carry_secrets(url):
        raise ScriptError(f"{name}: a credential is shown to https addresses only")
    return given.credential


def _sending(name: str, method: str | None) -> SendHttp:
    return SendHttp(
        name,
        demand,
        LINES,
        target=_target,
        written=written_headers,
        credential=_credential,
        outgoing=OutgoingRequest,
        methods=METHODS,
        method=method,
        default_s=DEFAULT_TIMEOUT_S,
        max_s=MAX_TIMEOUT_S,
    )


declare(
    _sending("sendHttpRequest", None),
    "Sends a request: (url, options, body) gives a promise; (url, callback, options, body) calls back.",
    "send_http",
)
declare(
    _sending("sendHttpGet", "GET"),
    "Sends a GET request: (url, options) gives a promise; (url, callback, options) calls back.",
    "send_http",
)
