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
from template_scripts import functions_left_by, value_of

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


SPECIAL = [
    # variables that inner functions use: of a function, of the turns of a loop, of a handler, of a name
    "const fs = []; for (let i = 0; i < 3; i++) { let j = i * 2; fs.push(() => [i, j++]); i += 0; } return fs.map(f => [f(), f()])",
    "const fs = []; for (let i = 0, n = 2; i < n; i++) { fs.push(() => i++ + n); } return fs.map(f => f() + f())",
    "const fs = []; for (const k in {a: 1, b: 2}) for (const v of [1, 2]) { if (v === 2) continue; fs.push(() => k + v); } return fs.map(f => f())",
    "const fs = []; let n = 0; while (n < 3) { const m = n; switch (n++) { case 1: let q = m; fs.push(() => q); break; default: fs.push(() => -m); } } return fs.map(f => f())",
    "const fs = []; let n = 0; do { try { if (n === 1) null.x; const m = n; fs.push(() => m); } catch (e) { const m = 'c'; fs.push(() => m + typeof e); } finally { let m = n; fs.push(() => m); } } while (n++ < 2); return fs.map(f => f())",
    "function out(a) { let b = 1; return function inner(c) { if (c > 2) return b; b += a + c; return inner(c + 1); } } return [out(1)(0), out('x')(0)]",
    "const a = (x, y) => { x = x + 1; return () => y => x + y; }; return [a(1, 2)()(3), a('p', 2)()('q')]",
    "let r = 0; const f = function (n) { r += n; { let n = 5; const g = () => n++; g(); r += g(); } return n ? f(n - 1) : r; }; return f(2)",
    "for (let i = 0; i < 2; i++) { for (let j = 0; j < 2; j++) { let t = () => i + ':' + j; if (j === 1) return [t(), (() => t())()]; } }",
    "const f = (a) => { try { for (const v of a) { const g = () => v; if (v > 1) return [g(), null.x]; } } catch (e) { let z = 9; const h = () => z + a.length; return h(); } }; return [f([1]), f([1, 2])]",
    "var fs = []; for (var i = 0; i < 2; i++) { var w = i; fs.push(() => [i, w]); } return fs.map(f => f())",
    "function f() { return g(); function g() { return typeof h + v; } var h = 1; } var v = 'v'; return f()",
    "const f = (a, b) => { const inside = () => a + b; b = 7; return inside; }; return [f(1)(), f(1, 2, 3)()]",
    "function f(a) { const g = () => arguments[0] + a; a = 5; return 1; } const h = function () { return arguments.length; }; return [f(1), h(1, 2, 3), h()]",
    "const many = (a, b, c, d, e, f, g, h, i, j) => [a, b, c, d, e, f, g, h, i, j].join('-'); return [many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), many(1)]",
    "const f = () => { let a = 1, b = 2, c = 3, d = 4, e = 5, g = 6, h = 7, i = 8, j = 9, k = 10, l = 11, m = 12, n = 13, o = 14, p = 15, q = 16, r = 17; return a + b + c + d + e + g + h + i + j + k + l + m + n + o + p + q + r; }; return f()",
    # conditions that make no object, comparisons with what is known, texts that grow
    "const t = [0, 1, '', 'a', null, undefined, [], {}, 0 / 0, -0, true]; return t.map(v => [!v, !!v, v && 1, v || 2, v === 1, v !== 'a', null === v, v === undefined, v !== true, typeof v === 'object', 'number' !== typeof v, v ? 1 : 2, !(v && t) ? 3 : 4])",
    "let n = 0; const f = v => { n++; return v; }; const r = []; if (f(0) || !f(1) || (f(2) && !f(''))) r.push('x'); if (f(1) && (f(0) ? f(9) : f('q')) && !(f(1) < f(1))) r.push('y'); return [r, n]",
    "const a = 'x'; let s = a + '-' + a + '-' + 1 + a; const keep = s + ''; s += a; let t = s; t = t + s + t; return [a, s, keep, t]",
    "const l = [1]; const o = {k: 'v', length: 3, f: v => v * 2, hasOwnProperty: 1}; return [l.length, 'abc'.length, o.length, o.f(2), ({}).hasOwnProperty('k'), ({k: 1}).hasOwnProperty('k'), l['length'], 'abc'[1], o['k'], l[5], o[1]]",
    "const o = {}; o.a = 1; o['b'] = 2; o['3k'] = 'c'; o.a += 5; o.n = o.n + 1; const l = []; l[0] = o.a++; return [o, l]",
    "return [[1, 2, 3].map((v, i, all) => all.length - i * v), [1, 2, 3].reduce((a, v, i, all) => a + v * i + all.length, ''), [3, 1, 2].sort((a, b) => a - b), 'a-b'.replace('-', (m, i) => i + m)]",
    "const f = function () {}; return [f(), (() => {})(), (() => undefined)(), [].concat(1, [2], 'x'), [1, 2].push(3, 4, 5), [0].unshift(1, 2), 'a'.concat(1, null, [2])]",
]


@pytest.mark.parametrize("source", SPECIAL)
def test_what_is_compiled_specially_gives_what_quickjs_gives(oracle, source):
    assert ours(source) == oracle(source), source


def test_a_call_leaves_no_cycle_behind():
    """Scopes that hold functions which were made in them are undone: the collector has nothing to do."""
    source = "const x = 1; function f(n) { return n ? g(n - 1) : x; } function g(n) { return f(n); } const o = {}; return f(3)"
    kept = "const f = () => [f, g]; const g = () => f; require('Promise').create(r => r(1)).then(v => f()); return 1"
    for one in (source, kept):
        value_of(one)
        assert not functions_left_by(lambda one=one: value_of(one))


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
