"""Firestore Lookup: a value of a document in Google's Firestore.

The document is named, or it is the first one of a collection that all conditions hold for. Tags that use
the variable wait for it; see `docs/lookups.md`. The key of a service account comes by name, as with every
secret; without one nothing is shown, which only an emulator accepts.
"""

import os
from importlib.util import find_spec
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct

from sgtm.component import Secret, variable
from sgtm.errors import Problem
from sgtm.event import Event, read_key_path, undefined
from sgtm.messages import CredentialUse, GoogleServiceAccount, Lookup, VendorAnswer
from sgtm.protocols.firestore import (
    SCOPE,
    decode_fields,
    documents_name,
    path_steps,
    query_request,
    read_request,
)
from sgtm.protocols.outgoing_http import check_url
from sgtm.variables._defaults import Default
from sgtm.variables.http_lookup import KeepMissingS, KeepS, TimeoutS

Operator = Literal["==", "!=", "<", "<=", ">", ">=", "array-contains", "array-contains-any", "in", "not-in"]


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """One condition that a document must meet."""

    key: Annotated[str, Meta(min_length=1, description="Path of a field, dots between steps.")]
    value: Annotated[Any, Meta(description="What it is compared with.")] = UNSET
    operator: Annotated[Operator, Meta(description="How it is compared.")] = "=="


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which document, and which value of it."""

    document_path: Annotated[
        str,
        Meta(
            description="Path of the document; nothing: the first one of `collection_path` that `conditions` "
            "hold for.",
            examples=["customers/{{User ID}}"],
        ),
    ] = ""
    collection_path: Annotated[
        str, Meta(description="Path of the collection that is searched.", examples=["products"])
    ] = ""
    conditions: Annotated[
        tuple[Condition, ...], Meta(description="What must hold for a document; all of them.")
    ] = ()
    key_path: Annotated[
        str, Meta(description="Path of the value in the document; empty: the whole document.")
    ] = ""
    project: Annotated[
        str,
        Meta(
            description="Id of the Google Cloud project; empty: the process's `GOOGLE_CLOUD_PROJECT`.",
            examples=["shop-live"],
        ),
    ] = ""
    database: Annotated[str, Meta(description="Id of the database.")] = "(default)"
    service_account: Annotated[
        Secret | None,
        Meta(description="Key file of a service account that may read: the whole JSON, best as a file."),
    ] = None
    endpoint: Annotated[str, Meta(description="Where Firestore is; an emulator has another address.")] = (
        "https://firestore.googleapis.com"
    )
    timeout_s: TimeoutS = 2.0
    keep_s: KeepS = 300.0
    keep_missing_s: KeepMissingS = 60.0
    default: Default = UNSET


def check(parameters: dict[str, Any], where: str) -> list[Problem]:
    """Neither document nor collection, both, or an endpoint that is none."""
    problems = check_url(parameters.get("endpoint"), f"{where}.endpoint")
    is_document, is_query = bool(parameters.get("document_path")), bool(parameters.get("collection_path"))
    if is_document == is_query:
        what = "names a document and a collection" if is_document else "names no document and no collection"
        mend = "write `document_path: ...`, or `collection_path: ...` and `conditions: [...]`"
        problems.append(Problem("error", what, where, mend))
    if not parameters.get("project") and not os.environ.get("GOOGLE_CLOUD_PROJECT"):
        mend = "write `project: ...`, or set GOOGLE_CLOUD_PROJECT"
        problems.append(Problem("warning", "names no project, so it finds nothing", where, mend))
    if parameters.get("service_account") and find_spec("cryptography") is None:
        mend = "pip install 'sgtm[google]'"
        problems.append(
            Problem("error", "needs the package `cryptography`", f"{where}.service_account", mend)
        )
    return problems


@variable(
    "firestore_lookup",
    aliases=("fs",),
    hosts=("firestore.googleapis.com", "oauth2.googleapis.com"),
    is_asynchronous=True,
    check=check,
)
def resolve(event: Event, parameters: Parameters) -> Any:
    """The value at `key_path` of the document.

    SPEC: sandbox-api 5.5 (fs), 1.4 (Firestore.read, query); requirements R155, R284, R285."""
    project = parameters.project or os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    is_document = bool(parameters.document_path)
    try:
        steps = path_steps(parameters.document_path or parameters.collection_path)
        if not project or len(steps) % 2 == is_document:
            return parameters.default
        name = documents_name(project, parameters.database)
        base = f"{parameters.endpoint.rstrip('/')}/v1/{name}"
        conditions = ((one.key, one.operator, one.value) for one in parameters.conditions)
        request = read_request(base, steps) if is_document else query_request(base, steps, conditions)
    except (TypeError, ValueError, RecursionError):
        return parameters.default
    credential = _credential(parameters.service_account)
    request = msgspec.structs.replace(request, credential=credential)
    return Lookup(
        f"firestore {request.url} {credential} {request.body!r}",
        request,
        DocumentValue(parameters.key_path, is_document),
        parameters.default,
        parameters.timeout_s,
        parameters.keep_s,
        parameters.keep_missing_s,
    )


def _credential(service_account: Secret | None) -> CredentialUse | None:
    if service_account is None:
        return None
    made_by = GoogleServiceAccount(service_account.name, SCOPE)
    return CredentialUse(service_account.name, "header", "Authorization", "Bearer ", made_by)


class DocumentValue(Struct, frozen=True):
    """Reads the value at a key path of the document in an answer."""

    key_path: str
    is_document: bool
    """The answer is the document itself, not the result of a query."""

    def __call__(self, answer: VendorAnswer) -> Any:
        """Raises ValueError and the like where the answer is not Firestore's."""
        said = msgspec.json.decode(answer.body)
        if not self.is_document:
            said = next((one["document"] for one in said if "document" in one), None)
            if said is None:
                return undefined
        document = decode_fields(said.get("fields", {}))
        return read_key_path(document, self.key_path) if self.key_path else document
