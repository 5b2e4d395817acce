# ruff: noqa: E501 - one program, one line
"""Hostile programs for templates, in the families of reliability 4.3: what the tests of the engine, of whole servers
and `benchmarks/hostile.py` run.

Families 32 and 33 are no programs but sources and files, which are refused when they are read; 35 is a property
of all values (`tests/templates/test_hostile.py`).
"""

import json
from typing import Any, NamedTuple

from gtm_templates import CLIENT, EVENT, LOG, REQUEST, RESPONSE, URLS, template, text_field

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
CHEAP = ("JSON", "Math", "Object", "makeString", "makeNumber", "makeInteger", "getType", "encodeUriComponent")
"""APIs whose functions are called with anything."""


class Program(NamedTuple):
    """Code of a tag, and how a run of it ends."""

    family: int
    code: str
    ends: str = ""
    """Name of a limit, or what the reason of the dead letter says; empty: it does no harm."""
    needs_host: bool = False
    """Whether it uses more than the language and the APIs that need no permission."""


ENDLESS = [
    Program(1, "while (true) {}", "steps"),
    Program(1, "for (;;);", "steps"),
    Program(1, "do ; while (true)", "steps"),
    Program(2, "for (let i = 0; i < 1e6; i++) for (let j = 0; j < 1e6; j++) {}", "steps"),
    Program(3, "function f() { f(); } f()", "call_depth"),
    Program(3, "const f = () => g(); const g = () => f(); f()", "call_depth"),
    Program(3, "try { (function f() { try { f(); } finally { f(); } })() } catch (e) {}", "call_depth"),
    Program(4, "const f = a => a.map(f2); const f2 = () => f([1]); f([1])", "call_depth"),
    Program(4, "const f = (a, b) => [2, 1].sort(f); f()", "call_depth"),
    Program(4, "const f = () => 'a'.replace('a', f); f()", "call_depth"),
    Program(5, "let a = []; for (let i = 0; i < 500; i++) a = [a]; return '' + a", "depth"),
    Program(5, "let a = [1]; for (let i = 0; i < 30; i++) a = [a, a]; return '' + a", "steps"),
    Program(6, "let a = []; for (let i = 0; i < 500; i++) a = [a]; return require('JSON').stringify(a)", "depth"),
    Program(6, "let a = [1]; for (let i = 0; i < 30; i++) a = [a, a]; return require('JSON').stringify(a)", "steps"),
    Program(8, "let s = 'x'; for (let i = 0; i < 40; i++) s = s + s", "text_length"),
    Program(8, "let s = 'x'; while (true) s += s", "text_length"),
    Program(8, DOUBLED + "const a = []; for (let i = 0; i < 30; i++) a.push(s + i)", "text_total"),
    Program(9, DOUBLED + "return [1, 2, 3, 4].join(s)", "text_length"),
    Program(9, DOUBLED + "return s.split('')", "elements"),
    Program(9, DOUBLED + "return s.split('').join(s)", "elements"),
    Program(10, "const a = []; a.length = 4e9", "elements"),
    Program(10, "const a = []; a[1e9] = 1", "elements"),
    Program(11, "const a = [1]; for (const x of a) a.push(x)", "elements"),
    Program(11, "let a = [1, 2]; while (true) a = a.concat(a)", "elements"),
    Program(12, "const a = []; for (let i = 0; i < 9999; i++) a.push(i); a.sort(() => 1); while (true) a.sort()", "steps"),
    Program(14, "const o = {}; for (let i = 0; i < 1e6; i++) o['k' + i] = i", "elements"),
    Program(14, "while (true) ({ a: 1, b: 2 })", "elements"),
    Program(19, "const P = require('Promise'); for (let i = 0; i < 1e5; i++) P.create(() => 1)", "pending_promises"),
    Program(19, "const P = require('Promise'); let p = P.create(() => 1); while (true) p = p.then(() => 1)", "pending_promises"),
    Program(19, "const P = require('Promise'); const f = () => P.create(r => r(1)).then(f); f()", "pending_promises"),
    Program(20, "const a = []; for (let i = 0; i < 1e4; i++) a.push(i); const P = require('Promise'); while (true) P.all(a)", "elements"),
    Program(23, DOUBLED + "return s.match('(a+)+$')", "pattern_input"),
    Program(23, "const s = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa!'; while (true) s.match('(a+)+$')", "steps"),
    Program(29, "const getType = require('getType'); while (true) getType(1)", "steps"),
    Program(30, DOUBLED + "const p = require('parseUrl'); while (true) p('https://a.example/?' + s)", "text_length"),
    Program(30, DOUBLED + "const top = require('computeEffectiveTldPlusOne'); while (true) top(s)", "steps"),
    Program(34, "const n = require('makeNumber'); while (true) n('9'.split('').join('') + 1 / 3)", "elements"),
]  # fmt: skip
"""Without a host: each ends at its limit."""

ODD: list[tuple[Program, Any]] = [
    (Program(7, "const a = []; a.push(a); return [a == a, '' + a, require('JSON').stringify(a)]"), [True, "", ...]),
    (Program(7, "const o = {}; o.o = o; return require('JSON').stringify(o)"), ...),
    (Program(6, "return require('JSON').parse('[[[[')"), ...),
    (Program(12, "const a = [3, 1, 2]; a.sort(() => { a.push(9); return 0; }); return a.length"), 3),
    (Program(12, "const a = [3, 1, 2]; try { a.sort(() => null.x); } catch (e) {} return a"), [3, 1, 2]),
    (Program(13, "const a = [1, 2, 3]; let n = 0; a.forEach(x => { a.pop(); n++; }); return n"), 2),
    (Program(13, "const a = [1]; a.map(x => a.push(x)); return a.length"), 2),
    (Program(13, "const o = { a: 1 }; for (const k in o) { o[k + 'x'] = 1; } return require('Object').keys(o).length"), 2),
    (Program(19, "const p = require('Promise'); let s; const q = p.create(r => { s = r; }); s(q); s(1); return 1"), 1),
    (Program(19, "require('Promise').create((good, bad) => bad(1)); return 1"), 1),
    (Program(20, "require('Promise').all([]).then(x => x)\nreturn 1"), 1),
    (Program(18, "const J = require('JSON'); J.parse = 1; J.x = 2; return [typeof J.parse, J.x]"), ["function", ...]),
    (Program(18, "require = 1; return typeof require"), "number"),
    (Program(18, "const f = require('Object').freeze({ a: 1 }); f.a = 2; f.b = 3; return f"), {"a": 1}),
    (Program(23, "return require('createRegex')('(a', 'g')"), None),
    (Program(23, "return require('createRegex')('(a{1000}){1000}', 'g')"), None),
    (Program(34, "return +('1' + '0')"), 10),
    (Program(34, DOUBLED + "let n = '9'; for (let i = 0; i < 17; i++) n = n + n; return '' + require('makeNumber')(n)"), "NaN"),
    (Program(15, f"const o = {{}}; {json.dumps([name for name in NAMES if name != '__proto__'])}.forEach(k => {{ o[k] = 1; }}); return require('Object').keys(o).length"), len(NAMES) - 1),
    (
        Program(
            16,
            f"const names = {json.dumps([name for name in NAMES if name != '0'])};"
            "const values = ['text', 1, 1.5, true, null, undefined, [1], {}, () => 1, require('makeString'), require('JSON'),"
            "  require('Promise').create(() => 1), require('createRegex')('a', 'g')];"
            "let found = 0; values.forEach(v => names.forEach(n => {"
            "  try { if (v[n] !== undefined && n !== 'then') found++; } catch (e) {} })); return found",
        ),
        0,
    ),
    (
        Program(
            17,
            DOUBLED.replace("19", "12") + "const c = []; c.push(c); const many = []; for (let i = 0; i < 999; i++) many.push(i);"
            f"const odd = [undefined, null, 0 / 0, -0, 9007199254740993, '9', '\\ud800', x => x, [], c, s, many]; {json.dumps(CHEAP)}.forEach(name => {{"
            "const api = require(name); const calls = [api, api.parse, api.stringify, api.keys, api.values, api.entries, api.freeze, api.max];"
            "calls.forEach(call => odd.forEach(a => { try { call(a); call(a, 'x'); call(a, c); } catch (e) {} })); }); return 1",
        ),
        1,
    ),
]  # fmt: skip
"""Without a host, and what each returns; `...` is undefined. None of them does harm."""

_MANY = "const m = {}; for (let i = 0; i < 10000; i++) m['h' + i] = 'x'; "
_STORE = "const store = require('templateDataStorage'); "
SERVED = [
    Program(7, "const o = {}; o.o = o; require('templateDataStorage').setItemCopy('k', o)", "depth", True),
    Program(7, "const o = {}; o.o = o; require('logToConsole')(o)", "", True),
    Program(19, "const P = require('Promise'); P.create(() => 1).then(data.gtmOnFailure)", "", True),
    Program(21, "const send = require('sendHttpRequest'); const a = []; for (let i = 0; i < 1e4; i++) a.push(send(data.url + '/hostile'))", "http_calls", True),
    Program(21, "require('sendHttpRequest')('http://169.254.169.254/latest/meta-data/')", "permission send_http", True),
    Program(21, "require('sendHttpRequest')(data.url.split('//').join('//allowed@'))", "permission send_http", True),
    Program(21, "require('sendHttpRequest')('https://allowed.example.\\\\@127.0.0.1/')", "permission send_http", True),
    Program(21, "require('sendHttpRequest')('http://localhost:1/')", "permission send_http", True),
    Program(22, _MANY + "require('sendHttpRequest')(data.url, { headers: m })", "request_headers", True),
    Program(22, "const h = require('setResponseHeader'); while (true) h('x', 'a\\r\\nset-cookie: b=c')", "log_lines", True),
    Program(22, "const c = require('setCookie'); for (let i = 0; i < 1e4; i++) c('c' + i, 'a\\n\\0')", "response_cookies", True),
    Program(24, _STORE + DOUBLED + "store.setItemCopy('k', s)", "storage_value", True),
    Program(24, _STORE + "for (let i = 0; i < 1e6; i++) store.setItemCopy('k' + i, 1)", "storage_bytes", True),
    Program(24, _STORE + "const o = { a: 1 }; store.setItemCopy('k', o); o.a = 2; if (store.getItemCopy('k').a !== 1) null.x", "", True),
    Program(25, "const log = require('logToConsole'); for (let i = 0; i < 1e6; i++) log('x')", "log_lines", True),
    Program(25, DOUBLED + "const log = require('logToConsole'); while (true) log(s)", "log_lines", True),
    Program(26, "const r = require('returnResponse'); r(); r(); while (true) r()", "permission return_response", True),
    Program(27, DOUBLED + "const set = require('setResponseBody'); set(s); set(s + s); while (true) set(s + s)", "text_total", True),
    Program(28, "const name = 'claimRequest'; require(name)()", "ScriptError", True),
    Program(29, "const now = require('getTimestampMillis'); const end = now() + 1e4; while (now() < end) {}", "steps", True),
    Program(31, "require('getGoogleAuth')({ scopes: ['https://www.googleapis.com/auth/cloud-platform'], keyFile: '/etc/passwd' })", "permission use_google_credentials", True),
    Program(31, "require('Firestore').read('shops/../../other', { projectId: 'p' })", "ScriptError", True),
    Program(31, "require('Firestore').read('other/1', { projectId: 'p' })", "permission access_firestore", True),
    Program(35, "const table = require; let n = 0; for (const k in table) n++; for (const k in require('JSON')) n++; if (n) null.x", "", True),
]  # fmt: skip
"""In a server: `data.url` is the vendor's."""

CLAIMING = [
    Program(26, "const r = require('returnResponse'); const run = require('runContainer'); const again = () => { r(); run({ event_name: 'again' }, again); }; again()", "container_runs", True),
    Program(27, DOUBLED + "const set = require('setResponseBody'); const a = []; while (true) { a.push(s + s); set(s); }", "text_total", True),
]  # fmt: skip
"""Code of clients, which claim first."""

SOURCES = [
    *("(" * 100_000, "[" * 100_000, "{" * 100_000, "!" * 100_000 + "1", "-" * 100_001 + "1", "a?" * 100_000),
    *("if(a)" * 100_000, "()=>" * 100_000, "a=" * 100_000 + "1", "typeof " * 100_000, "a." * 100_000 + "b"),
    *("a" + "-a" * 100_000, "f" + "()" * 100_000, "a" + "[1" * 50_000 + "]" * 50_000, "x" * (1 << 21)),
    *("'" + "\\" * 99_999, "/*" + "*" * 100_000, "`", "\\u0061", "1" * 100_000, "function " * 10_000, "switch(1){" * 999),
    *("\ud800", "a\u2028b c", "'\\u{110000}'", "0x", "1e", "3in []", "...", "=>", "?", "@", "#!x"),
]  # fmt: skip
"""Family 32: none is compiled."""
FILES = [
    *(
        "___INFO___\n" * 9,
        "___TESTS___\n",
        "",
        "\0" * 999,
        "___SANDBOXED_JS_FOR_SERVER___\n" + "x" * (5 << 20),
    ),
]
"""Family 33: none is read. (Aliases of YAML: `tests/templates/test_reader.py`.)"""

_GRANTED = (
    *(EVENT, LOG, REQUEST, {"access_response": RESPONSE["access_response"]}, {"access_template_storage": {}}),
    {"set_cookies": {"allowedCookies": [{"name": "*", "domain": "*", "path": "*", "secure": "any", "session": "any"}]}},
    {"access_firestore": {"allowedOptions": [{"projectId": "p", "path": "shops/*", "operation": "read"}]}},
)  # fmt: skip


def tag_of(program: Program, vendor: str) -> str:
    """Text of a template whose tag runs the program and succeeds where that ends."""
    allowed = {"send_http": {"allowedUrls": "specific", "urls": [f"{vendor}/"]}}
    code = f"const program = () => {{ {program.code} }};\nprogram();\ndata.gtmOnSuccess();"
    return template("TAG", code, *_GRANTED, allowed, fields=[text_field("url")])


def client_of(program: Program) -> str:
    """Text of a template whose client claims the path of its field and then runs the program."""
    claim = "if (require('getRequestPath')() !== data.path) { return; }\nrequire('claimRequest')();\n"
    return template("CLIENT", claim + program.code, CLIENT, URLS, fields=[text_field("path")])


def container_of(vendor: str) -> dict[str, Any]:
    """All programs in one container: an event `p7` fires the tag `p7`, a request to `/hostile/c0` runs the client
    `c0`. Names are those of `named`."""
    tags, clients, templates, triggers = [], [], [], []
    for name, program in named().items():
        if name[0] == "c":
            templates.append({"name": f"{name} template", "source": client_of(program)})
            clients.append(
                {
                    "name": name,
                    "type": f"{name} template",
                    "priority": 9,
                    "parameters": {"path": f"/hostile/{name}"},
                }
            )
            continue
        templates.append({"name": f"{name} template", "source": tag_of(program, vendor)})
        triggers.append({"name": name, "type": "custom_event", "event_names": [name]})
        tags.append(
            {
                "name": name,
                "type": f"{name} template",
                "firing_triggers": [name],
                "parameters": {"url": vendor},
            }
        )
    return {
        "sgtm": 1,
        "consent": {"unset": "granted", "gate": "declared"},
        "clients": [*clients, {"name": "Hostile", "type": "json", "parameters": {"paths": ["/hostile"]}}],
        "triggers": triggers,
        "tags": tags,
        "custom_templates": templates,
    }  # fmt: skip


def named() -> dict[str, Program]:
    """All programs that a server runs: tags `p...`, clients `c...`."""
    programs = [*ENDLESS, *(program for program, _ in ODD), *SERVED]
    return {f"p{at}": one for at, one in enumerate(programs)} | {
        f"c{at}": one for at, one in enumerate(CLAIMING)
    }
