# ruff: noqa: E501 - one program, one line
"""Hostile programs: each ends with its named error, or harmlessly (SPEC: reliability 4.3).

Families that are about HTTP, responses and storage of a server (21, 22, 24, 26-28, 31) stand with the tests of
those APIs, in `apis/`.
"""

import time
import tracemalloc

import pytest
from msgspec import UNSET
from template_scripts import value_of

from sgtm._fast.sandbox_convert import get_member
from sgtm._fast.sandbox_values import Callable, HostObject, Native, Opaque, Promise, Regex, ScriptError
from sgtm.templates.library import LIBRARY
from sgtm.templates.reader import TemplateFileError, read_template
from sgtm.templates.script import Limits, Script, TemplateError
from sgtm.templates.syntax import ScriptSyntaxError

DOUBLED = "let s = 'x'; for (let i = 0; i < 19; i++) s = s + s; "
NAMES = [
    *("__proto__", "constructor", "prototype", "__class__", "__dict__", "__getattribute__", "__subclasses__"),
    *(
        "__globals__",
        "gi_frame",
        "func_globals",
        "mro",
        "name",
        "text",
        "members",
        "pattern",
        "then",
        "run",
        "",
    ),
    *("0", "1e9", "\ud800", "\0", "length_", "call", "apply", "__init__", "__reduce_ex__", "__call__"),
]


@pytest.mark.parametrize(
    ("source", "limit"),
    [
        # 1-5: loops and recursion
        ("while (true) {}", "steps"),
        ("for (;;);", "steps"),
        ("do ; while (true)", "steps"),
        ("for (let i = 0; i < 1e6; i++) for (let j = 0; j < 1e6; j++) {}", "steps"),
        ("function f() { f(); } f()", "call_depth"),
        ("const f = () => g(); const g = () => f(); f()", "call_depth"),
        ("const f = a => a.map(f2); const f2 = () => f([1]); f([1])", "call_depth"),
        ("const f = (a, b) => [2, 1].sort(f); f()", "call_depth"),
        ("const f = () => 'a'.replace('a', f); f()", "call_depth"),
        ("try { (function f() { try { f(); } finally { f(); } })() } catch (e) {}", "call_depth"),
        ("let a = []; for (let i = 0; i < 500; i++) a = [a]; return '' + a", "depth"),
        # 6, 7: nested and cyclic values
        ("let a = []; for (let i = 0; i < 500; i++) a = [a]; return require('JSON').stringify(a)", "depth"),
        ("let a = [1]; for (let i = 0; i < 30; i++) a = [a, a]; return require('JSON').stringify(a)", "steps"),
        ("let a = [1]; for (let i = 0; i < 30; i++) a = [a, a]; return '' + a", "steps"),
        # 8-11: growth
        ("let s = 'x'; for (let i = 0; i < 40; i++) s = s + s", "text_length"),
        ("let s = 'x'; while (true) s += s", "text_length"),
        (DOUBLED + "const a = []; for (let i = 0; i < 30; i++) a.push(s + i)", "text_total"),
        (DOUBLED + "return [1, 2, 3, 4].join(s)", "text_length"),
        (DOUBLED + "return s.split('')", "elements"),
        (DOUBLED + "return s.split('').join(s)", "elements"),
        ("const a = []; a.length = 4e9", "elements"),
        ("const a = []; a[1e9] = 1", "elements"),
        ("const a = [1]; for (const x of a) a.push(x)", "elements"),
        ("let a = [1, 2]; while (true) a = a.concat(a)", "elements"),
        ("const o = {}; for (let i = 0; i < 1e6; i++) o['k' + i] = i", "elements"),
        ("while (true) ({ a: 1, b: 2 })", "elements"),
        # 12: sort
        ("const a = []; for (let i = 0; i < 9999; i++) a.push(i); a.sort(() => 1); while (true) a.sort()", "steps"),
        # 19, 20: promises
        ("const P = require('Promise'); for (let i = 0; i < 1e5; i++) P.create(() => 1)", "pending_promises"),
        ("const P = require('Promise'); let p = P.create(() => 1); while (true) p = p.then(() => 1)", "pending_promises"),
        ("const P = require('Promise'); const f = () => P.create(r => r(1)).then(f); f()", "pending_promises"),
        # 23: patterns
        (DOUBLED + "return s.match('(a+)+$')", "pattern_input"),
        ("const s = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa!'; while (true) s.match('(a+)+$')", "steps"),
        # 29: waiting
        ("const getType = require('getType'); while (true) getType(1)", "steps"),
    ],
)  # fmt: skip
def test_a_program_without_end_ends_with_its_limit_and_in_time(source, limit):
    began = time.process_time()
    with pytest.raises(TemplateError) as caught:
        value_of(source)
    assert caught.value.limit == limit, str(caught.value)
    assert "line 1, column" in str(caught.value)
    assert time.process_time() - began < 5  # a bound that tells "for ever" from "soon", no measurement


@pytest.mark.parametrize(
    "source", ["while (true) {}", "const f = () => f(); f()", "let s = 'x'; while (true) s += s"]
)
def test_no_catch_stops_a_limit(source):
    with pytest.raises(TemplateError):
        value_of(f"try {{ {source} }} catch (e) {{ return 1 }} finally {{ return 2 }}")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("const a = []; a.push(a); return [a == a, '' + a, require('JSON').stringify(a)]", [True, "", UNSET]),
        ("const o = {}; o.o = o; return require('JSON').stringify(o)", UNSET),
        ("return require('JSON').parse('[[[[')", UNSET),
        ("const a = [3, 1, 2]; a.sort(() => { a.push(9); return 0; }); return a.length", 3),
        ("const a = [1, 2, 3]; let n = 0; a.forEach(x => { a.pop(); n++; }); return n", 2),
        ("const a = [1]; a.map(x => a.push(x)); return a.length", 2),
        (
            "const o = { a: 1 }; for (const k in o) { o[k + 'x'] = 1; } return require('Object').keys(o).length",
            2,
        ),
        ("const p = require('Promise'); let s; const q = p.create(r => { s = r; }); s(q); s(1); return 1", 1),
        ("require('Promise').all([]).then(x => x)\nreturn 1", 1),
        (
            "const J = require('JSON'); J.parse = 1; J.x = 2; return [typeof J.parse, J.x]",
            ["function", UNSET],
        ),
        ("require = 1; return typeof require", "number"),
        ("const f = require('Object').freeze({ a: 1 }); f.a = 2; f.b = 3; return f", {"a": 1}),
        ("return require('createRegex')('(a', 'g')", None),
        ("return +('1' + '0')", 10),
    ],
)
def test_odd_programs_do_no_harm(source, expected):
    assert value_of(source) == expected


def test_sort_with_a_throwing_comparator_keeps_the_list():
    source = "const a = [3, 1, 2]; try { a.sort(() => null.x); } catch (e) {} return a"
    assert value_of(source) == [3, 1, 2]


def test_a_run_sees_nothing_of_another():
    assert value_of("require('Object').freeze(data); data.x = 1; return data", {}) == {}
    assert value_of("data.x = 1; return data", {}) == {"x": 1}


@pytest.mark.parametrize("name", NAMES)
def test_no_name_reaches_an_attribute_of_python(name):
    run = Limits().start()
    regex = LIBRARY["createRegex"](run, "a", "g")
    function = Script("return () => 1").call(run)
    values = [
        *("text", 1, 1.5, True, [1], {}, function, LIBRARY["makeString"], LIBRARY["JSON"]),
        *(regex, Opaque("e"), Promise(run)),
    ]
    for value in values:
        found = get_member(run, value, name)
        assert found is UNSET or (name == "0" and found in ("t", 1)), (value, name)
    for nothing in (None, UNSET):
        with pytest.raises(ScriptError):
            get_member(run, nothing, name)


@pytest.mark.parametrize("name", NAMES)
def test_keys_of_python_are_keys_like_others(name):
    key = repr(name).replace("\\x00", "\\0")
    assert value_of(f"const o = {{}}; o[{key}] = 1; return [o[{key}], o.hasOwnProperty({key})]") == [1, True]


def test_everything_a_script_can_reach_is_of_the_closed_set():
    closed = {type(None), type(UNSET), bool, int, float, str, list, dict, Native, HostObject, Regex, Promise}
    for value in LIBRARY.values():
        assert type(value) in closed or isinstance(value, Callable)


ODD = [
    "",
    "undefined",
    "null",
    "NaN_",
    "-0",
    "9007199254740993",
    "'9'",
    "'\\ud800'",
    "x => x",
    "[]",
    "c",
    "s",
    "many",
]


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_a_function_of_the_host_takes_anything(name):
    """17: each argument of each function; only errors of a script come out, in bounded time."""
    prelude = (
        DOUBLED.replace("19", "12")
        + "const c = []; c.push(c); const many = []; for (let i = 0; i < 999; i++) many.push(i);"
    )
    api = LIBRARY[name]
    members = (
        [
            f"require('{name}').{one}"
            for one in ("parse", "stringify", "keys", "values", "entries", "freeze", "delete")
        ]
        + [f"require('{name}').{one}" for one in ("create", "all", "abs", "max", "pow", "round")]
        if isinstance(api, HostObject)
        else [f"require('{name}')"]
    )
    for member in members:
        for first in ODD:
            for second in ("", ", 'x'", ", {}", ", c"):
                call = f"{member}({first.replace('NaN_', '0 / 0')}{second if first else ''})"
                value_of(f"{prelude} try {{ {call}; }} catch (e) {{}} return 1")


@pytest.mark.parametrize(
    "source",
    [
        *("(" * 100_000, "[" * 100_000, "{" * 100_000, "!" * 100_000 + "1", "-" * 100_001 + "1", "a?" * 100_000),
        *("if(a)" * 100_000, "()=>" * 100_000, "a=" * 100_000 + "1", "typeof " * 100_000, "a." * 100_000 + "b"),
        *("a" + "-a" * 100_000, "f" + "()" * 100_000, "a" + "[1" * 50_000 + "]" * 50_000, "x" * (1 << 21)),
        *("'" + "\\" * 99_999, "/*" + "*" * 100_000, "`", "\\u0061", "1" * 100_000, "function " * 10_000, "switch(1){" * 999),
        *("\ud800", "a\u2028b c", "'\\u{110000}'", "0x", "1e", "3in []", "...", "=>", "?", "@", "#!x"),
    ],
)  # fmt: skip
def test_hostile_source_is_refused_and_nothing_else_happens(source):
    with pytest.raises(ScriptSyntaxError):
        Script(source)


@pytest.mark.parametrize(
    "source", ["a" + " + a" * 20_000, "a" + " && a" * 20_000, "a;" * 20_000, "\ufeffreturn 1"]
)
def test_long_but_flat_source_is_compiled(source):
    value_of(source)


def test_a_chain_of_else_if_is_flat():
    value_of("".join(f"if (data.x === {i}) {{ f(); }} else " for i in range(2_000)) + "{}")


@pytest.mark.parametrize(
    "text",
    [
        "___INFO___\n" * 9,
        "___TESTS___\n",
        "",
        "\0" * 999,
        "___SANDBOXED_JS_FOR_SERVER___\n" + "x" * (5 << 20),
    ],
)
def test_hostile_files_are_refused(text):
    with pytest.raises(TemplateFileError):
        read_template(text)


def test_memory_of_a_run_that_failed_comes_back():
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for source in ("while (true) ({ a: [] })", DOUBLED + "const a = []; while (true) a.push(s + 1)"):
            with pytest.raises(TemplateError):
                value_of(source)
        assert tracemalloc.get_traced_memory()[0] - before < 5 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("call", "grown"),
    [
        ("s.split('x')", "elements"), ("s + 'y'", "texts"), ("s.toUpperCase()", "texts"), ("s.slice(1)", "texts"),
        ("s.indexOf('y')", "steps"), ("s.replace('x', 'z')", "texts"), ("a.slice()", "elements"),
        ("a.concat(a)", "elements"), ("a.indexOf('y')", "steps"), ("a.join()", "texts"), ("a.reverse()", "steps"),
        ("a.sort()", "steps"), ("a.map(v => v)", "steps"), ("'' + a", "texts"),
        ("require('JSON').stringify(a)", "texts"), ("require('JSON').parse(s)", "steps"),
        ("require('encodeUriComponent')(s)", "texts"), ("require('toBase64')(s)", "texts"),
        ("require('fromBase64')(s)", "texts"), ("require('sha256Sync')(s)", "steps"),
        ("require('Object').entries(a)", "elements"), ("require('parseUrl')(s)", "texts"),
        ("require('computeEffectiveTldPlusOne')(s)", "steps"), ("require('decodeUriComponent')('%41' + s)", "texts"),
        ("require('createRegex')(s)", "steps"), ("s.match('y')", "steps"),
    ],
)  # fmt: skip
def test_every_host_function_charges_more_for_more(call, grown):
    """The growth test of reliability 4.2: the charge grows with what is worked on."""
    spent = []
    for size in (100, 1_000, 10_000):
        script = Script(call.replace("require", "data.require"), parameters=("a", "s", "data"))
        run = Limits().start()
        before = getattr(run, grown)
        script.call(
            run, ["x"] * size, "x" * size, {"require": Native("r", lambda run, args: LIBRARY[args[0]])}
        )
        spent.append(before - getattr(run, grown))
    assert spent[2] - spent[1] >= 5 * (spent[1] - spent[0]) > 0, spent
