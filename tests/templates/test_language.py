# ruff: noqa: E501 - one program, one line
"""The dialect: constructs, values, errors (SPEC: google-runtime 5.1-5.3), one line each."""

import pytest
from msgspec import UNSET
from template_scripts import value_of

from sgtm.templates.script import Limits, Script, TemplateError
from sgtm.templates.syntax import ScriptSyntaxError


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # 5.1: constructs
        ("return 1 + 2 * 3 - 4 / 2 % 3", 5),
        ("return (1, 2)", 2),
        ("const a = [1]; a.x = {}; a.x.y = 2; const b = a; return [b.x.y, b.length, a.z, [1].x]", [2, 1, UNSET, UNSET]),
        ("const a = [1]; a.x = 1; return [a.hasOwnProperty('x'), a.hasOwnProperty('y'), a.concat([]).x]", [True, False, UNSET]),
        ("function f(n) { return n < 2 ? 1 : n * f(n - 1); } return f(5)", 120),
        ("return later(); function later() { return 'hoisted'; }", "hoisted"),
        ("const f = function me(n) { return n ? me(n - 1) : 'end'; }; return f(3)", "end"),
        ("return ((a, b) => a + b)(1, 2)", 3),
        ("return (a => ({ a: a }))(1)", {"a": 1}),
        ("function f() { return arguments.length; } return f(1, 2, 3)", 3),
        ("return (() => arguments[1])(1, 2)", 2),
        ("let r = []; for (let i = 0; i < 3; i++) r.push(() => i); return r.map(f => f())", [0, 1, 2]),
        ("let r = []; for (const x of [1, 2]) r.push(() => x); return r.map(f => f())", [1, 2]),
        ("let r = []; for (var i = 0; i < 2; i++) r.push(() => i); return r.map(f => f())", [2, 2]),
        ("for (const x of [() => x]) { return x(); }", UNSET),
        ("for (const x in { a: (() => x)() }) { return (() => x)(); }", "a"),
        ("let r = ''; for (const c of 'ab') r += c + '.'; return r", "a.b."),
        ("let r = ''; for (const i in [7, 8]) r += typeof i + i; return r", "string0string1"),
        ("let i = 0; do { i++; if (i === 2) continue; if (i > 3) break; } while (true); return i", 4),
        ("switch (2) { case 1: return 1; case 2: case 3: return 'two'; default: return 0; }", "two"),
        ("let r = ''; switch (9) { default: r += 'd'; case 1: r += '1'; } return r", "d1"),
        ("switch ('1') { case 1: return 'loose'; } return 'strict'", "strict"),
        ("let r = ''; for (const k in { b: 1, a: 2 }) { r += k; } return r", "ba"),
        ("return [typeof null, typeof x, typeof (a => 1)]", ["object", "undefined", "function"]),
        ("let a = 1; a += 2; a *= 3; a++; --a; return a-- + a", 17),
        ("let o = { n: 1 }; o.n += 5; o['n']++; return o", {"n": 7}),
        ("return [-7 % 3, 5 & 3, 5 | 3, 5 ^ 3, ~5, 1 << 31, -1 >>> 28]", [-1, 1, 7, 6, -6, -(1 << 31), 15]),
        ("try { undefined.x; } catch (e) { return [e.message, typeof e]; }", [UNSET, "object"]),
        ("let r = 'a'; try { null.x; } catch (e) { r += 'b'; } finally { r += 'c'; } return r", "abc"),
        ("let n = 0; const f = () => { try { return 1; } finally { n++; } }; return f() + n", 2),
        ("const a = 1\nconst b = 2\nreturn a\n+ b", 3),
        ("return\n1", UNSET),
        ("var x = 1; { var x = 2; } return x", 2),
        ("let x = 1; { let x = 2; } return x", 1),
        # 5.2: values and members
        ("return 'abc'.length + 'abc'[1] + 'abc'.nothing", "3bundefined"),
        ("return [1, 2].length + [1, 2][5]", float("nan")),
        ("return (255).toString(16) + true.toString()", "fftrue"),
        ("const a = []; a[2] = 1; a.length = 4; return a.length", 4),
        ("const a = [1, 2, 3]; a.length = 1; return a", [1]),
        ("'abc'.x = 1; return 'ignored'", "ignored"),
        ("return { constructor: 1 }.constructor + typeof {}.constructor", "1undefined"),
        ("return [[1, [2]], null, undefined] + {}", "1,2,,[object Object]"),
        ("const o = {}; o[2] = 'b'; o[1] = 'a'; let r = ''; for (const k in o) r += k; return r", "21"),
        ("return [3, 1, 2, 10].sort()", [1, 10, 2, 3]),
        ("return [1, 2, 3].reduce((a, b) => a + b) + [1].reduceRight((a, b) => a + b, 2)", 9),
        ("const a = [1, 2, 3, 4]; return [a.splice(1, 2, 'x'), a]", [[2, 3], [1, "x", 4]]),
        ("return ['a1b1'.replace('1', '[$&]'), 'rv:12'.match('rv:(\\\\d+)')[1]]", ["a[1]b1", "12"]),
        ("return [0.1 + 0.2, 1e21, 1e-7, -0].join()", "0.30000000000000004,1e+21,1e-7,0"),
        ("return 9007199254740993 + 1", 9007199254740992),
        ("return ['10' * '2', '5' - 2, true + 1, null + 1, [] + 1, '3' > 12]", [20, 3, 2, 1, "1", False]),
        ("return [null == undefined, '1' == 1, [1] == 1]", [True, True, True]),
        ("return [null == 0, undefined == false, NaN == NaN]", [False, False, True]),
        # 5.3: variables and errors
        ("return typeof nothing", "undefined"),
        ("const c = 1; const r = (c = 2); return [c, r]", [1, 2]),
    ],
)  # fmt: skip
def test_a_script_gives_what_the_spec_says(source, expected):
    assert repr(value_of(source)) == repr(expected)


@pytest.mark.parametrize(
    ("source", "line", "what", "mend"),
    [
        ("\nreturn /a/.test(b)", 2, "regular expression literals", "createRegex"),
        ("new Date()", 1, "new is not", "call a function"),
        ("return `a`", 1, "template literals", "+"),
        ("throw 1", 1, "throw is not", "gtmOnFailure"),
        ("delete a.b", 1, "delete is not", "Object"),
        ("this.x", 1, "this is not", "argument"),
        ("const {a} = b", 1, "destructuring", "one by one"),
        ("f(...a)", 1, "... is not", "concat"),
        ("a?.b", 1, "?. is not", "a && a.b"),
        ("a ?? b", 1, "?? is not", "undefined"),
        ("a ** 2", 1, "** is not", "pow"),
        ("x = {a}", 1, "shorthand", "a: a"),
        ("x = {[a]: 1}", 1, "computed keys", "object[key]"),
        ("x = {a() {}}", 1, "methods in objects", "function"),
        ("(a = 1) => a", 1, "default parameters", "undefined"),
        ("function f(...a) {}", 1, "rest parameters", "arguments"),
        ("class A {}", 1, "class is not", "functions"),
        ("'a' in b", 1, "in is not", "hasOwnProperty"),
        ("a instanceof b", 1, "instanceof is not", "getType"),
        ("function* f() {}", 1, "generators", "list"),
        ("async () => 1", 1, "async is not", "then"),
        ("x: for (;;) {}", 1, "labels", "function"),
        ("let a; let a", 1, "declared twice", "another name"),
        ("if (a) {", 1, "{ without", "close"),
        ("'abc", 1, "text without its end", "close"),
        ("/* abc", 1, "comment without its end", "*/"),
        ("a = 1 b = 2", 1, "should end", ";"),
        ("1 = a", 1, "cannot be assigned", "variable"),
        ("\\u0061 = 1", 1, "escapes in names", "letter"),
        ("return [1,,2]", 1, "gap", "undefined"),
        ("return ٣", 1, "no meaning here", "leave it out"),
        ("var ²a", 1, "no meaning here", "leave it out"),
        ("return\x1c1", 1, "no meaning here", "leave it out"),
        ("return a\n=> a", 1, "arrow on a new line", "behind"),
        ("<!-- a\rreturn (", 1, "where a value is expected", "before"),
        ("a ? b : c = " * 3000 + "d", 1, "nested more than 64 deep", "functions"),
        ("1||1&&1|1^1&1==1<1<<1+1*(" * 60 + "1" + ")" * 60, 1, "nested too deep", "functions"),
    ],
)
def test_what_is_outside_the_dialect_is_refused_with_line_construct_and_remedy(source, line, what, mend):
    with pytest.raises(ScriptSyntaxError) as caught:
        Script(source)
    assert (caught.value.line, what in caught.value.what, mend in caught.value.mend) == (line, True, True), (
        str(caught.value)
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("\n\n  data.x.y", "line 3, column 9: cannot read 'y' of undefined"),
        ("null.a = 1", "cannot write 'a' of null"),
        ("data.foo(1)", "data.foo is not a function"),
        ("'a'.includes('b')", "includes is not a function"),
        ("(1).toFixed(2)", "toFixed is not a function"),
        ("nothing()", "nothing is not a function"),
        ("for (const a of {}) {}", "the value is not iterable"),
        ("[].reduce((a, b) => a)", "reduce of an empty array"),
        ("undeclared = 1", "undeclared is assigned but not declared"),
        ("require('getAllEventDate')", "getAllEventDate is not a valid API name"),
        ("require('parseURL')", "parseURL is not a valid API name; parseUrl is"),
    ],
)
def test_an_error_names_the_place_and_what_it_was(source, said):
    with pytest.raises(TemplateError) as caught:
        value_of(source)
    assert said in str(caught.value)


@pytest.mark.parametrize("source", ["undeclared = 1", "require('x')"])
def test_internal_errors_are_not_caught_by_the_script(source):
    with pytest.raises(TemplateError):
        value_of("try { " + source + " } catch (e) {} return 1")


def test_reactions_of_promises_run_after_the_code_and_callbacks_in_their_order():
    source = """
    const Promise = require('Promise');
    const log = [];
    Promise.create(resolve => resolve(1))
      .then(v => { log.push('then ' + v); return Promise.create((a, b) => b('no')); })
      .catch(e => log.push('caught ' + e)).finally(() => log.push('finally'));
    Promise.all([1, Promise.create(r => r(2))]).then(all => log.push(all.join()));
    log.push('code');
    return log;
    """
    assert value_of(source) == ["code", "then 1", "1,2", "caught no", "finally"]


def test_json_counts_as_many_characters_as_it_has_whatever_their_script():
    source = "let s = 'ж'; for (let i = 0; i < 6; i++) s = s + s; return require('JSON').stringify({k: s})"
    limits = Limits(text_length=72)
    assert value_of(source, limits=limits) == '{"k":"' + "ж" * 64 + '"}'
    with pytest.raises(TemplateError, match="text of 72 characters"):
        value_of(source, limits=Limits(text_length=71))
