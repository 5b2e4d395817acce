"""The compiled modules and their plain-Python twins have the same names and say the same."""

import ast
import json
from importlib import import_module
from importlib.machinery import ExtensionFileLoader
from operator import attrgetter
from pathlib import Path

import pytest
from fast.strategies import (
    CUT_ESCAPES,
    ESCAPES,
    HIGH_BYTES,
    MIXED_ESCAPES,
    NUMBERS,
    bodies,
    consent_texts,
    headers,
    items,
    queries,
)
from hypothesis import example, given
from hypothesis import strategies as st
from reference import collect as twin

from sgtm._fast import collect as fast
from sgtm.consent import CONSENT_TYPES, read_consent

ROOT = Path(__file__).parents[2]
STUBS = sorted((ROOT / "sgtm" / "_fast").glob("*.pyi"))
# the template engine has no twin: QuickJS is its oracle (tests/templates/test_oracle.py)
WITH_TWIN = [stub for stub in STUBS if not stub.stem.startswith("sandbox_")]
HITS = [json.loads(line) for line in (ROOT / "tests/vectors/ga4-hits.jsonl").read_text().splitlines()]


def signatures(source: Path) -> dict[str, list[str]]:
    """Public functions and methods (no properties) of a file and the names of their parameters."""
    named: list[tuple[str, ast.stmt]] = []
    for node in ast.parse(source.read_text()).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        named += [(f"{node.name}." if isinstance(node, ast.ClassDef) else "", one) for one in inside]
    return {
        f"{where}{function.name}": [
            argument.arg for argument in [*function.args.posonlyargs, *function.args.args]
        ]
        for where, function in named
        if isinstance(function, ast.FunctionDef) and not function.decorator_list
    }


@pytest.mark.parametrize("stub", WITH_TWIN, ids=lambda stub: stub.stem)
def test_every_compiled_function_has_a_twin_with_the_same_parameters(stub: Path) -> None:
    twins = signatures(ROOT / "tests" / "reference" / f"{stub.stem}.py")
    assert signatures(stub)
    for name, parameters in signatures(stub).items():
        assert twins.get(name) == parameters, name


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.stem)
def test_the_compiled_module_is_the_one_that_is_loaded(stub: Path) -> None:
    module = import_module(f"sgtm._fast.{stub.stem}")
    assert isinstance(module.__spec__.loader, ExtensionFileLoader)  # type: ignore[union-attr]
    assert all(attrgetter(name)(module) for name in signatures(stub))


def same(query: bytes, body: bytes = b"") -> None:
    """Equal events: values, types and order of keys (`repr` tells 1 from True and from 1.0)."""
    assert repr(fast.parse_collect(query, body)) == repr(twin.parse_collect(query, body))


@pytest.mark.parametrize("hit", HITS, ids=range(len(HITS)))
def test_both_read_recorded_hits_alike(hit: dict[str, str]) -> None:
    same(hit["target"].partition("?")[2].encode(), hit["body"].encode())


@pytest.mark.parametrize(
    "place", ["en=a&dt=%b", "en=a&%b=1", "en=a&ep.x%b=1", "en=a&pr1=id%b", "en=a&ep.user_data.a=%b"]
)
def test_both_decode_every_escape_alike(place: str) -> None:
    for text in [*ESCAPES, *MIXED_ESCAPES, *CUT_ESCAPES, *HIGH_BYTES]:
        for length in range(10):  # around the eight bytes that the compiled scan takes at once
            same(place.encode() % (b"x" * length + text))
            same(place.encode() % (text + b"x" * length))


@pytest.mark.parametrize("escape", ESCAPES)
def test_both_cut_the_input_where_it_ends(escape: bytes) -> None:
    for cut in range(1, 3):
        same(b"en=a&dt=" + escape[:cut])
        same(b"en=a&" + escape[:cut])


@pytest.mark.parametrize("text", NUMBERS)
def test_both_read_numbers_alike(text: bytes) -> None:
    for name in (b"_p", b"_et", b"epn.x", b"upn.x", b"epn.user_data.x", b"pr1", b"lps", b"_ee", b"uamb"):
        same(b"en=a&%b=%b%b" % (name, b"pr" if name == b"pr1" else b"", text))


@pytest.mark.parametrize(
    "letters", ["AEA", "AAAAAAQ", "AEAAAAQ", "IA", "DA", "DAg", "Q", "IIA", "_-", "A" * 64, "A" * 65]
)
def test_both_read_bits_alike(letters: str) -> None:
    same(b"en=a&_eu=" + letters.encode())


@given(query=queries, body=bodies)
@example(query=b"", body=b"")
@example(query=b"en=a&ep.user_data=x&ep.user_data.0=y&ep.user_data.1=z", body=b"en=b\r\n\r\nen=c\n")
def test_both_read_hits_of_the_grammar_alike(query: bytes, body: bytes) -> None:
    same(query, body)
    same(b"en=a&" + query, body)


@given(texts=st.lists(items, min_size=1, max_size=3))
def test_both_read_items_alike(texts: list[bytes]) -> None:
    same(b"en=purchase&" + b"&".join(b"pr%d=%b" % (place, text) for place, text in enumerate(texts, 1)))


@given(query=st.binary(max_size=200), body=st.binary(max_size=100))
def test_no_bytes_make_either_raise(query: bytes, body: bytes) -> None:
    same(query, body)
    same(b"en=a&" + query, body)
    for name in (b"v", b"tid", b""):
        assert fast.find_parameter(query, name) == twin.find_parameter(query, name)


@given(text=queries, name=st.sampled_from([b"v", b"tid", b"en", b"ep.value", b""]))
@example(text=b"a=1\r\nv=2", name=b"v")
@example(text=b"v", name=b"v")
@example(text=b"vv=1&v=%32+", name=b"v")
def test_both_find_one_parameter_alike(text: bytes, name: bytes) -> None:
    assert fast.find_parameter(text, name) == twin.find_parameter(text, name)


@given(query=queries, headers=headers, micros=st.integers(0, 2**53))
def test_both_add_the_same_of_the_request(
    query: bytes, headers: tuple[tuple[bytes, bytes], ...], micros: int
) -> None:
    compiled, plain = (module.parse_collect(b"en=a&" + query, b"") for module in (fast, twin))
    fast.add_request_data(compiled, headers, "203.0.113.9", micros)
    twin.add_request_data(plain, headers, "203.0.113.9", micros)
    assert repr(compiled) == repr(plain)


@given(gcd=consent_texts, gcs=st.sampled_from(["", "G1", "G111", "G100", "G1--", "G10-", "G0111", "G11é"]))
@example(gcd="13p3pPp2p5l1", gcs="G100")
@example(gcd="13l3l3R3l5l1", gcs="G1--")
@example(gcd="11l1l1l1l5W6", gcs="")
def test_the_consent_object_agrees_with_the_consent_of_the_event(gcd: str, gcs: str) -> None:
    """google-runtime 6.6; ga4-protocol 2.2: unset counts as granted."""
    data = {"x-ga-gcd": gcd, "x-ga-gcs": gcs, "x-ga-gcu": "1", "x-ga-mp2-gcut": "1.3"}
    seen = read_consent(data)
    for module in (fast, twin):
        event = dict(data)
        module.add_request_data([event], (), "", 0)
        consent = event["x-sst-system_properties"]["consent"]  # type: ignore[index]
        expected = {name: getattr(seen, name) is not False for name in CONSENT_TYPES}
        assert consent == {"consentGrantedState": expected, "isUpdate": True, "updateType": "1.3"}
