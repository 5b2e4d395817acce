# ruff: noqa: E501 - one kind of program, one line
"""The engine against QuickJS-NG: generated programs give the same (SPEC: js-engines 6.7).

There is no twin in plain Python: QuickJS is the oracle. It is a dependency of tests only.

Differences that are meant, all of them, each by google-runtime 5.1-5.3 unless said otherwise; the generator
makes no program that shows them, and `test_meant_differences` holds each:

- keys of objects keep the order in which they were put in, positions too, outside JSON;
- a const that is assigned keeps its value without an error;
- a name that is declared nowhere reads as undefined; assigning it cannot be caught;
- methods are exactly Google's lists; a function's text is its name; a caught error has no message;
- a member of an object is an own key: `constructor` and `__proto__` are keys like others;
- texts count in code points, not in UTF-16 units (js-engines 6.3);
- an index beyond the end fills a list with undefined: there are no gaps (ours);
- a text of more than 1,000 characters is no number (ours: reading it takes more than linear time).
"""

import json
import math

import pytest
import quickjs
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from template_scripts import value_of

from sgtm._fast.sandbox_convert import to_text
from sgtm._fast.sandbox_values import Callable, Opaque
from sgtm.templates.script import Limits, TemplateError

RUN = Limits(steps=1 << 60).start()

SHOW = """
function show(v) {
  if (v === undefined) return 'undefined';
  if (typeof v === 'number') return Object.is(v, -0) ? '-0' : String(v);
  if (typeof v === 'function') return 'function';
  if (Array.isArray(v)) return '[' + Array.from(v, show).join() + ']';
  if (v !== null && typeof v === 'object')
    return '{' + Object.keys(v).map(k => JSON.stringify(k) + ':' + show(v[k])).join() + '}';
  return JSON.stringify(v);
}
function run(f) {
  try { return JSON.stringify(show(f({}))); } catch (e) { return '"error"'; }  // a long sum of texts cannot leave QuickJS
}
"""


@pytest.fixture(scope="module")
def oracle():
    context = quickjs.Context()
    context.set_time_limit(10)
    context.eval(SHOW)
    return lambda source: json.loads(context.eval(f"run(function (data) {{ {source} }})"))


def shown(value):
    if value is UNSET:
        return "undefined"
    if isinstance(value, float) and value == 0 and math.copysign(1, value) < 0:
        return "-0"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return to_text(RUN, value)
    if isinstance(value, Callable):
        return "function"
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{shown(one)}" for key, one in value.items()) + "}"
    assert not isinstance(value, Opaque)
    return json.dumps(value, ensure_ascii=False)


def ours(source):
    try:
        return shown(value_of(source))
    except TemplateError:
        return "error"


# -- programs ----------------------------------------------------------------------------------------

NUMBERS = [
    "0",
    "-0",
    "1",
    "2",
    "-1",
    "3.7",
    "-2.5",
    "0.1",
    "1e21",
    "9007199254740991",
    "4294967296",
    "255",
    "NaN_",
]
TEXTS = [
    "''",
    "'a'",
    "'abcabc'",
    "' 12 '",
    "'1e3'",
    "'0x1f'",
    "'-5.50'",
    "'a,b,,c'",
    "'$&'",
    "'é€'",
    "'Infinity'",
]
PLAIN = [*NUMBERS, *TEXTS, "true", "false", "null", "undefined"]
OPERATORS = [
    *("+", "-", "*", "/", "%", "==", "!=", "===", "!==", "<", "<=", ">", ">=", "&&", "||"),
    *("&", "|", "^", "<<", ">>", ">>>"),
]
TEXT_METHODS = {
    "charAt": 1, "concat": 2, "indexOf": 2, "lastIndexOf": 2, "slice": 2, "split": 2, "substring": 2,
    "toLowerCase": 0, "toUpperCase": 0, "trim": 0, "toString": 0, "replace": 2, "startsWith": 2,
}  # fmt: skip
LIST_METHODS = {
    "concat": 2, "indexOf": 2, "lastIndexOf": 2, "join": 1, "pop": 0, "push": 2, "reverse": 0, "shift": 0,
    "slice": 2, "sort": 0, "splice": 3, "unshift": 2, "toString": 0, "hasOwnProperty": 1,
}  # fmt: skip
CALLBACKS = [
    "(v, i) => v + i",
    "v => !v",
    "(v, i, all) => all.length > i + 1",
    "v => typeof v",
    "() => undefined",
]


def _called(methods, subject, argument):
    return st.sampled_from(sorted(methods)).flatmap(
        lambda name: st.tuples(subject, st.lists(argument, max_size=methods[name])).map(
            lambda parts: f"({parts[0]}).{name}({', '.join(parts[1])})"
        )
    )


plain = st.sampled_from(PLAIN).map(lambda text: "(0 / 0)" if text == "NaN_" else text)
lists = st.lists(plain, max_size=4).map(lambda parts: f"[{', '.join(parts)}]")
texts = st.sampled_from(TEXTS)
values = st.one_of(plain, lists, st.just("{a: 1, b: 'x'}").map(lambda text: f"({text})"))
expressions = st.recursive(
    values,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(st.sampled_from(["!", "-", "+", "~", "typeof "]), inner).map(lambda p: f"({p[0]} {p[1]})"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} ? {p[1]} : {p[2]})"),
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.tuples(inner, inner).map(lambda p: f"({{p: {p[0]}, q: {p[1]}}})"),
        _called(TEXT_METHODS, texts, inner),
        _called(LIST_METHODS, lists, inner),
        st.tuples(
            lists, st.sampled_from(["map", "filter", "some", "every", "forEach"]), st.sampled_from(CALLBACKS)
        ).map(lambda p: f"{p[0]}.{p[1]}({p[2]})"),
        st.tuples(lists, st.sampled_from(["reduce", "reduceRight"]), inner).map(
            lambda p: f"{p[0]}.{p[1]}((a, b, i) => a + '/' + b + i, {p[2]})"
        ),
        st.tuples(lists, st.sampled_from(["0", "1", "'1'", "'length'", "-1", "'x'"])).map(
            lambda p: f"{p[0]}[{p[1]}]"
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(expressions)
def test_expressions_give_what_quickjs_gives(oracle, expression):
    source = f"return {expression}"
    assert ours(source) == oracle(source), source


names = st.sampled_from(["a", "b", "c"])
simple = st.one_of(
    names, plain, st.tuples(names, st.sampled_from(["+", "-", "<", "===", "&&"]), plain).map(" ".join)
)
statements = st.recursive(
    st.one_of(
        st.tuples(names, st.sampled_from(["=", "+=", "-=", "*="]), simple).map(lambda p: f"{' '.join(p)};"),
        st.tuples(names, st.sampled_from(["++", "--"])).map(lambda p: f"{p[0]}{p[1]};"),
        names.map(lambda name: f"log.push({name});"),
        simple.map(lambda value: f"fs.push(() => {value});"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: "{ let b = 5; " + " ".join(parts) + " }"),
        st.tuples(simple, inner, inner).map(lambda p: f"if ({p[0]}) {{ {p[1]} }} else {{ {p[2]} }}"),
        st.tuples(inner, inner).map(
            lambda p: f"for (let c = 0; c < 3 && turns++ < 9; c++) {{ fs.push(() => c); {p[0]} {p[1]} }}"
        ),
        inner.map(lambda p: f"for (const v of [1, 'x']) {{ fs.push(() => v); {p} }}"),
        inner.map(lambda p: f"for (var w in {{k: 1, l: 2}}) {{ log.push(w); {p} }}"),
        st.tuples(simple, inner, inner).map(
            lambda p: f"switch ({p[0]}) {{ case 1: {p[1]} case 'a': {p[2]} break; default: log.push('d'); }}"
        ),
        st.tuples(inner, inner).map(
            lambda p: f"try {{ {p[0]} null.x; }} catch (e) {{ {p[1]} }} finally {{ a = 1; }}"
        ),
        st.tuples(names, inner).map(lambda p: f"(function ({p[0]}) {{ {p[1]} return; }})(a);"),
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(statements, min_size=1, max_size=4))
def test_programs_give_what_quickjs_gives(oracle, parts):
    source = f"""
    let a = 1, b = 'x', c = null; const log = [], fs = [];
    let turns = 0;
    {" ".join(parts)}
    return [a, b, c, log, fs.map(f => f())];
    """
    assert ours(source) == oracle(source), source


@settings(max_examples=100, deadline=None)
@given(st.floats() | st.integers(-(2**53), 2**53), st.integers(2, 36))
def test_numbers_are_written_as_quickjs_writes_them(oracle, number, radix):
    text = "(0 / 0)" if number != number else repr(number).replace("inf", "1e999")
    source = f"const n = {text}; return [n, '' + n, n % 7, ~n, n >>> 1, n + 1, 0 - n, n * n]"
    assert ours(source) == oracle(source), source
    if isinstance(number, int):
        assert ours(f"return ({text}).toString({radix})") == oracle(f"return ({text}).toString({radix})")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
    | st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc12"), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(JSON_VALUES)
def test_json_is_written_and_read_as_quickjs_does(oracle, value):
    text = json.dumps(json.dumps(value))
    ours_text = value_of(f"const JSON = require('JSON'); return JSON.stringify(JSON.parse({text}))")
    assert shown(ours_text) == oracle(f"return JSON.stringify(JSON.parse({text}))")


@pytest.mark.parametrize(
    ("source", "here", "there"),
    [
        (
            "const o = {}; o[2] = 'b'; o[1] = 'a'; let r = ''; for (const k in o) r += k; return r",
            '"21"',
            '"12"',
        ),
        ("const c = 1; c = 2; return c", "1", "error"),
        ("return nothing", "undefined", "error"),
        ("try { nothing.x; } catch (e) { return typeof e.message }", '"undefined"', '"string"'),
        ("return 'a'.endsWith('a')", "error", "true"),
        ("function f() {} return '' + f", '"f"', '"function f() {}"'),
        ("return typeof {}.constructor", '"undefined"', '"function"'),
        ("return '\\ud83d\\ude00'.length", "1", "2"),
        ("const a = []; a[2] = 1; let n = 0; a.forEach(() => n++); return n", "3", "1"),
        ("let s = '1'; for (let i = 0; i < 10; i++) s += s; return +s", "NaN", "Infinity"),
    ],
)
def test_meant_differences(oracle, source, here, there):
    assert (ours(source), oracle(source)) == (here, there)
