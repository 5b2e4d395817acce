"""Matching: what else a request must have before a client is asked (SPEC: requirements R44).

A client's own rules come after this, and are not loosened by it. Each condition is compiled to one test of
the request, compared as triggers compare: what is missing is the text `undefined`. The body is read as JSON
at most once for all clients, and only up to a bound.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from sgtm.cookies import read_cookie
from sgtm.event import read_key_path, undefined
from sgtm.javascript import number_of, text_of
from sgtm.messages import IncomingRequest
from sgtm.patterns import compile_pattern
from sgtm.protocols.bodies import Unreadable, unpack
from sgtm.protocols.query import read_query
from sgtm.triggers.condition import Comparison
from sgtm.triggers.operators import NUMBER_OPERATORS, TEXT_OPERATORS, WORDS

MAX_BODY_BYTES = 1 << 20
"""A larger body is not looked into: its fields are missing."""

Part = Literal["path", "method", "header", "query_parameter", "cookie", "body_field"]
_Read = Callable[[IncomingRequest], Any]
_Test = Callable[[IncomingRequest], bool]


class RequestCondition(Struct, frozen=True, forbid_unknown_fields=True):
    """One look at a request: `{part: header, name: X-Shop, operator: equals, compare_with: berlin}`."""

    part: Annotated[Part, Meta(description="What is looked at.")]
    operator: Annotated[Comparison, Meta(description="How it is compared, as in triggers.")]
    compare_with: Annotated[
        Any, Meta(description="What it is compared with: a text or a number; a list: any of them.")
    ]
    name: Annotated[
        str,
        Meta(
            description="Of which header, query parameter or cookie; for `body_field` the key path in a JSON "
            "body, such as `order.shop`."
        ),
    ] = ""
    negate: Annotated[bool, Meta(description="Holds where the comparison does not.")] = False


class Matching(Struct, frozen=True):
    """Conditions that must all hold before a client is asked."""

    tests: tuple[tuple[_Test, str], ...]
    """What is asked, and how a person writes it."""
    of_address: tuple[_Test, ...]
    """Those of the tests that a preflight can answer too: it has the address, and nothing else."""

    def failure(self, request: IncomingRequest) -> str:
        """Why the client is not asked, or ""; nothing of the request."""
        for test, written in self.tests:
            if not test(request):
                return f"its match `{written}` does not hold"
        return ""

    def may_hold(self, preflight: IncomingRequest) -> bool:
        """Whether they could hold for the request that a preflight announces."""
        return all(test(preflight) for test in self.of_address)


def compile_matching(conditions: Sequence[RequestCondition]) -> Matching | None:
    """All of them; None where there are none. Raises PatternError."""
    if not conditions:
        return None
    tests = [(_test(condition), condition) for condition in conditions]
    return Matching(
        tuple((test, described(condition)) for test, condition in tests),
        tuple(test for test, condition in tests if condition.part in ("path", "query_parameter")),
    )


def described(condition: RequestCondition) -> str:
    """The condition as a person says it."""
    what = f"{condition.part.replace('_', ' ')} {condition.name}".rstrip()
    members = ", ".join(map(text_of, members_of(condition.compare_with)))
    return f"{what} {WORDS[condition.operator][condition.negate]} {members}"


def members_of(written: Any) -> list[Any]:
    """A list means any of its members."""
    return written if isinstance(written, list) else [written]


def _test(condition: RequestCondition) -> _Test:
    read = _reader(condition.part, condition.name)
    compared = [_comparison(condition.operator, member) for member in members_of(condition.compare_with)]
    if condition.negate:
        return lambda request: not _any(compared, read(request))
    return lambda request: _any(compared, read(request))


def _any(compared: list[Callable[[Any], bool]], value: Any) -> bool:
    return any(holds(value) for holds in compared)


def _comparison(operator: Comparison, written: Any) -> Callable[[Any], bool]:
    if operator in NUMBER_OPERATORS:
        compare, number = NUMBER_OPERATORS[operator], number_of(written)
        return lambda value: compare(number_of(value), number)
    if operator == "matches_regex":
        matches = compile_pattern(text_of(written)).matches
        return lambda value: matches(text_of(value))
    holds, text = TEXT_OPERATORS[operator], text_of(written)
    return lambda value: holds(text_of(value), text)


def _reader(part: Part, name: str) -> _Read:
    header = name.lower().encode()
    readers: dict[Part, _Read] = {
        "path": lambda request: request.path,
        "method": lambda request: request.method,
        "header": lambda request: _there(request.header(header)),
        "query_parameter": lambda request: read_query(request.query).get(name, undefined),
        "cookie": lambda request: _there(read_cookie(request, name)),
        "body_field": lambda request: read_key_path(_json(request.body), name),
    }
    return readers[part]


def _there(text: str | None) -> Any:
    return undefined if text is None else text


@lru_cache(maxsize=1)  # several conditions and clients read the same body
def _json(body: bytes) -> Any:
    if len(body) > MAX_BODY_BYTES:
        return undefined
    try:
        plain = unpack(body)
        return undefined if len(plain) > MAX_BODY_BYTES else msgspec.json.decode(plain)
    except (Unreadable, msgspec.DecodeError, RecursionError):
        return undefined
