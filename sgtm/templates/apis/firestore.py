"""Firestore: read, write, query, runTransaction (SPEC: sandbox-api 1.4; Firestore REST reference, v1).

A document's id is its path, as `customers/7`: what is read can be written back to. Nothing is cached, so
`disableCache` changes nothing.
"""

from collections.abc import Callable as Function
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from sgtm._fast.sandbox_border import engine_value, house_value, whole_text
from sgtm._fast.sandbox_convert import is_true, to_number, to_text
from sgtm._fast.sandbox_values import (
    Callable,
    LimitError,
    Native,
    Promise,
    Run,
    ScriptError,
)
from sgtm.messages import OutgoingRequest, VendorAnswer
from sgtm.protocols import firestore
from sgtm.templates.apis.chance import chance_of
from sgtm.templates.apis.declaration import api
from sgtm.templates.apis.google import check_answer, credential_for, demand_in_project, project_of
from sgtm.templates.apis.sending import DEFAULT_TIMEOUT_S, LINES, Rejection
from sgtm.templates.arguments import Arguments, argument, refused
from sgtm.templates.host import host_of

MAX_DOCUMENTS = 300
MAX_TRANSACTIONS, MAX_WRITES = 10, 500
RETRIES = 2
"""Of a transaction that another one was in the way of (SPEC: sandbox-api 1.4)."""


class _Place:
    """Where a call works: a project's documents, and a path below them."""

    def __init__(self, run: Run, api: str, operation: str, path: Any, options: Any) -> None:
        self.options: dict[str, Any] = options if isinstance(options, dict) else {}
        self.path = whole_text(to_text(run, path))
        project = project_of(run, self.options)
        demand_in_project(run, api, "access_firestore", operation, {"path": self.path}, project)
        try:
            self.steps = firestore.path_steps(self.path)
        except ValueError as error:
            raise ScriptError(f"{api}: {error}") from None
        self.name = firestore.documents_name(project)
        self.base = f"{host_of(run).services.firestore}/v1/{self.name}"

    @property
    def is_document(self) -> bool:
        return len(self.steps) % 2 == 0

    def transaction(self, run: Run) -> str:
        """The transaction that the call belongs to, or nothing. Raises ScriptError for one that is over."""
        given = self.options.get("transaction", UNSET)
        if given in (UNSET, None):
            return ""
        name = to_text(run, given)
        if name not in host_of(run).transactions:
            raise ScriptError("Firestore: there is no such transaction, or it is over")
        return name


def _shown(run: Run, request: OutgoingRequest) -> OutgoingRequest:
    run.make_text(len(request.body))
    return replace(request, credential=credential_for(run, firestore.SCOPE))


@api("Firestore.read", "access_firestore", cost=50)
def firestore_read(run: Run, args: Arguments) -> Promise:
    """Reads a document: a promise of `{id, data}`, which is rejected where there is none."""
    place = _Place(run, "Firestore.read", "read", argument(args, 0), argument(args, 1))
    if not place.is_document:
        raise ScriptError("Firestore.read takes the path of a document: collection/document")
    request = _shown(run, firestore.read_request(place.base, place.steps, place.transaction(run)))
    return LINES.promised(
        run, request, DEFAULT_TIMEOUT_S, lambda answer: _document(run, check_answer(run, answer))
    )


def _document(run: Run, said: Any) -> dict[str, Any]:
    """Raises Rejection for an answer that is not Firestore's."""
    try:
        identifier = said["name"].partition("/documents/")[2]
        data = firestore.decode_fields(said.get("fields", {}))
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        raise Rejection({"reason": "failed"}) from None
    run.make_elements(2)
    return {"id": identifier, "data": engine_value(run, data)}


@api("Firestore.query", "access_firestore", cost=50)
def firestore_query(run: Run, args: Arguments) -> Promise:
    """Looks for documents of a collection: a promise of an array of `{id, data}`, 5 at most or `limit`."""
    place = _Place(run, "Firestore.query", "read", argument(args, 0), argument(args, 2))
    if place.is_document:
        raise ScriptError("Firestore.query takes the path of a collection")
    limit = to_number(run, place.options.get("limit", UNSET))
    request = firestore_query_request(
        run, place, int(limit) if 1 <= limit <= MAX_DOCUMENTS else 5, argument(args, 1)
    )

    def read(answer: VendorAnswer) -> list[dict[str, Any]]:
        said = check_answer(run, answer)
        run.make_elements(len(said) if isinstance(said, list) else 0)
        return [
            _document(run, one["document"]) for one in said if isinstance(one, dict) and "document" in one
        ]

    return LINES.promised(run, _shown(run, request), DEFAULT_TIMEOUT_S, read)


def firestore_query_request(run: Run, place: _Place, limit: int, given: Any) -> OutgoingRequest:
    """The query with conditions that a script wrote. Raises ScriptError."""
    conditions = house_value(run, given) if isinstance(given, list) else []
    try:
        rows = [(str(key), operator, value) for key, operator, value in conditions]
        return firestore.query_request(
            place.base, place.steps, rows, limit=limit, transaction=place.transaction(run)
        )
    except (TypeError, ValueError, KeyError, RecursionError):
        raise ScriptError("Firestore.query takes conditions as [key, operator, value]") from None


# -- writing -------------------------------------------------------------------------------------------


@api("Firestore.write", "access_firestore", cost=50)
def firestore_write(run: Run, args: Arguments) -> Promise:
    """Writes a document, or a new one of a collection: a promise of its id. `merge` keeps other fields."""
    place = _Place(run, "Firestore.write", "write", argument(args, 0), argument(args, 2))
    given = argument(args, 1)
    if not isinstance(given, dict):
        raise refused("Firestore.write", args)
    path = place.path.strip("/")
    if not place.is_document:
        path = f"{path}/{chance_of(run, 'firestore').hex()[:20]}"
    merges = is_true(place.options.get("merge"))
    try:
        write = firestore.write_of(f"{place.name}/{path}", house_value(run, given), merges=merges)
    except (TypeError, RecursionError, OverflowError):
        raise ScriptError("Firestore.write: it holds what Firestore cannot keep") from None
    transaction = place.transaction(run)
    if transaction:
        return _later(run, transaction, write, path)
    request = _shown(run, firestore.commit_request(place.base, [write]))
    return LINES.promised(
        run, request, DEFAULT_TIMEOUT_S, lambda answer: (check_answer(run, answer), path)[1]
    )


def _later(run: Run, transaction: str, write: dict[str, Any], path: str) -> Promise:
    """A write of a transaction: done when that is committed."""
    writes = host_of(run).transactions[transaction]
    if len(writes) >= MAX_WRITES:
        raise LimitError("transaction_writes", f"a transaction has {MAX_WRITES} writes at most")
    writes.append((path, write))
    promise = Promise(run)
    promise.resolve(path)
    return promise


# -- transactions --------------------------------------------------------------------------------------


@api("Firestore.runTransaction", "access_firestore", cost=50)
def firestore_run_transaction(run: Run, args: Arguments) -> Promise:
    """Reads and writes all or nothing: (function of a transaction's id that gives a promise, options).

    A promise of the ids of what was written; the function is called again where others were in the way."""
    callback, options = argument(args, 0), argument(args, 1)
    if not isinstance(callback, Callable):
        raise refused("Firestore.runTransaction", args)
    host = host_of(run)
    if host.count("transactions") >= MAX_TRANSACTIONS:
        raise LimitError("transactions", f"the run begins more than {MAX_TRANSACTIONS} transactions")
    project = project_of(run, options if isinstance(options, dict) else {})
    if not project or not host.permissions.granted.get("access_firestore"):
        demand_in_project(
            run, "Firestore.runTransaction", "access_firestore", "read_write", {"path": "*"}, project
        )
    base = f"{host.services.firestore}/v1/{firestore.documents_name(project)}"
    transaction = _Transaction(run, base, callback)
    transaction.begin()
    return transaction.promise


class _Transaction:
    """One that is under way: begin, the template's function, commit; and again, if it was aborted."""

    def __init__(self, run: Run, base: str, callback: Callable) -> None:
        self.promise = Promise(run)
        self._run, self._base, self._callback = run, base, callback
        self._retries, self._name = 0, ""

    def begin(self) -> None:
        self._send(firestore.begin_request(self._base, self._name), self._begun)

    def _send(self, request: OutgoingRequest, read: Function[[VendorAnswer], Any]) -> None:
        run = self._run
        LINES.count_call(run)
        answered = Promise(run)
        answered.then(UNSET, Native("", lambda run, args: self._fail(argument(args, 0))))
        LINES.settle(run, answered, _shown(run, request), DEFAULT_TIMEOUT_S, read)

    def _begun(self, answer: VendorAnswer) -> Any:
        said = check_answer(self._run, answer)
        name = said.get("transaction") if isinstance(said, dict) else None
        if not isinstance(name, str):
            raise Rejection({"reason": "failed"})
        self._name = name
        host_of(self._run).transactions[name] = []
        result = self._callback(self._run, name)
        done, failed = (Native("", step) for step in (self._commit, self._give_up))
        if isinstance(result, Promise):
            result.then(done, failed)
        else:
            self._run.jobs.append(lambda: self._commit(self._run, []))
        return UNSET

    def _commit(self, run: Run, args: Arguments) -> Any:
        written = host_of(run).transactions.pop(self._name, [])
        self._send(
            firestore.commit_request(self._base, [write for _, write in written], self._name),
            lambda answer: self._committed(answer, [path for path, _ in written]),
        )
        return UNSET

    def _committed(self, answer: VendorAnswer, paths: list[str]) -> Any:
        if answer.status == 409 and self._retries < RETRIES:
            self._retries += 1
            self.begin()
        else:
            check_answer(self._run, answer)
            self._run.make_elements(len(paths))
            self.promise.resolve(paths)
        return UNSET

    def _give_up(self, run: Run, args: Arguments) -> Any:
        host_of(run).transactions.pop(self._name, None)
        return self._fail(argument(args, 0))

    def _fail(self, reason: Any) -> Any:
        self.promise.reject(reason)
        return UNSET
