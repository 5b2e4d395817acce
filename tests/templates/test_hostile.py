# ruff: noqa: E501 - one program, one line
"""Hostile programs: each ends with its named error, or harmlessly (SPEC: reliability 4.3).

The programs stand in `tests/hostile_programs.py`. Those that need a server run in
`tests/end_to_end/test_hostile_templates.py`; what they try is tested one by one in `apis/`, too.
"""

import time
import tracemalloc

import pytest
from hostile_programs import DOUBLED, ENDLESS, FILES, NAMES, ODD, SOURCES
from msgspec import UNSET
from template_scripts import value_of

from sgtm._fast.sandbox_convert import get_member
from sgtm._fast.sandbox_values import Callable, HostObject, Native, Opaque, Promise, Regex, ScriptError
from sgtm.templates.library import LIBRARY
from sgtm.templates.reader import TemplateFileError, read_template
from sgtm.templates.script import Limits, Script, TemplateError
from sgtm.templates.syntax import ScriptSyntaxError


@pytest.mark.parametrize("program", ENDLESS, ids=str)
def test_a_program_without_end_ends_with_its_limit_and_in_time(program):
    began = time.process_time()
    with pytest.raises(TemplateError) as caught:
        value_of(program.code)
    assert caught.value.limit == program.ends, str(caught.value)
    assert "line 1, column" in str(caught.value)
    assert time.process_time() - began < 5  # a bound that tells "for ever" from "soon", no measurement


@pytest.mark.parametrize(
    "source", ["while (true) {}", "const f = () => f(); f()", "let s = 'x'; while (true) s += s"]
)
def test_no_catch_stops_a_limit(source):
    with pytest.raises(TemplateError):
        value_of(f"try {{ {source} }} catch (e) {{ return 1 }} finally {{ return 2 }}")


@pytest.mark.parametrize(("program", "expected"), ODD, ids=lambda value: str(value)[:99])
def test_odd_programs_do_no_harm(program, expected):
    found = value_of(program.code)
    assert plain(found) == expected


def plain(value):
    """`...` for undefined, as the list has it."""
    return [plain(one) for one in value] if isinstance(value, list) else ... if value is UNSET else value


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


@pytest.mark.parametrize("source", SOURCES, ids=range(len(SOURCES)))
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


@pytest.mark.parametrize("text", FILES, ids=range(len(FILES)))
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
