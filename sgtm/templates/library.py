"""APIs that need nothing but their arguments: no request, no clock, no chance.

SPEC: sandbox-api 1.5, google-runtime 5.5. Each charges the run for its arguments before it works.
"""

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import UNSET

from sgtm._fast.sandbox_apis import EncodeUri, ParseUrl, ToBase64
from sgtm._fast.sandbox_convert import to_text
from sgtm._fast.sandbox_functions import FUNCTIONS, hashed
from sgtm._fast.sandbox_json import adopted, stringify
from sgtm._fast.sandbox_values import Callable, HostObject, Native, Regex, Run, ScriptError
from sgtm.templates.addresses import parsed_url, registrable_domain_of
from sgtm.templates.arguments import Arguments, argument, refused
from sgtm.templates.numbers import MATH
from sgtm.templates.patterns import PATTERNS
from sgtm.templates.promises import PROMISE

# -- values ------------------------------------------------------------------------------------------


def _make_table_map(run: Run, args: Arguments) -> Any:
    rows, key, value = (argument(args, index) for index in range(3))
    if not isinstance(rows, list):
        if rows is UNSET or rows is None:
            return None
        raise refused("makeTableMap", args)
    key, value = to_text(run, key), to_text(run, value)
    run.make_elements(len(rows))
    found = {
        to_text(run, row[key]): row[value]
        for row in rows
        if isinstance(row, dict) and key in row and value in row
    }
    return found or None


def _copied_member(run: Run, args: Arguments) -> Any:
    value = argument(args, 0)
    if value is UNSET or value is None:
        raise ScriptError("Object.keys, values and entries take no undefined or null")
    return value


def _pairs(run: Run, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (list, str)):
        return [(str(index), member) for index, member in enumerate(value)]
    return []


def _object_part(part: int | None) -> Native:
    def listed(run: Run, args: Arguments) -> list[Any]:
        value = _copied_member(run, args)
        size = len(value) if isinstance(value, (dict, list, str)) else 0
        run.make_elements(size * (3 if part is None else 1))
        if part is None:
            return [list(pair) for pair in _pairs(run, value)]
        return [pair[part] for pair in _pairs(run, value)]

    return Native(("Object.keys", "Object.values", "Object.entries")[2 if part is None else part], listed)


def _freeze(run: Run, args: Arguments) -> Any:
    value = argument(args, 0)
    if isinstance(value, (dict, list)):
        if run.frozen is None:
            run.frozen = {}
        run.make_elements(1)
        run.frozen[id(value)] = value  # kept, so that no other object gets its id
    return value


def _delete(run: Run, args: Arguments) -> bool:
    value, key = argument(args, 0), to_text(run, argument(args, 1))
    if run.frozen is not None and id(value) in run.frozen:
        return False
    if isinstance(value, dict):
        value.pop(key, None)
    elif isinstance(value, list) and key.isdecimal() and int(key[:12]) < len(value):
        value[int(key)] = UNSET
    return isinstance(value, (dict, list))


# -- texts -------------------------------------------------------------------------------------------


def _json_parse(run: Run, args: Arguments) -> Any:
    text = to_text(run, argument(args, 0))
    run.charge(len(text) >> 3)
    run.make_elements(text.count(",") + text.count("[") + text.count("{"))
    try:
        return adopted(run, msgspec.json.decode(text))
    except (ValueError, RecursionError):
        return UNSET


def _json_stringify(run: Run, args: Arguments) -> Any:
    return stringify(run, argument(args, 0))


_KEPT_BY_DECODE_URI = ";/?:@&=+$,#"


def _decoder(name: str, kept: str) -> Native:
    def decode(run: Run, args: Arguments) -> Any:
        text = argument(args, 0)
        if not isinstance(text, str):
            raise refused(name, args)
        if "%" not in text:
            return text
        run.make_text(len(text))
        run.charge(len(text) >> 1)
        for sign in kept:
            for code in (f"%{ord(sign):02x}", f"%{ord(sign):02X}"):
                text = text.replace(code, "%25" + code[1:])
        return _decoded(text)

    return Native(name, decode)


def _decoded(text: str) -> Any:
    if any(not _is_hex(part[:2]) for part in text.split("%")[1:]):
        return UNSET
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError:
        return UNSET


def _is_hex(digits: str) -> bool:
    return len(digits) == 2 and all(digit in "0123456789abcdefABCDEF" for digit in digits)


_PLAIN_SIGNS = str.maketrans("-_", "+/")


def _from_base64(run: Run, args: Arguments) -> Any:
    text = to_text(run, argument(args, 0)).translate(_PLAIN_SIGNS).rstrip("=")
    run.make_text(len(text))
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return UNSET


def _sha256(run: Run, args: Arguments) -> Any:
    done, options = argument(args, 1), argument(args, 2)
    if not isinstance(done, Callable):
        raise refused("sha256", args)
    digest = hashed(run, argument(args, 0), options)
    run.later.append(lambda: done(run, digest))
    return UNSET


# -- patterns, addresses ---------------------------------------------------------------------------------


def _create_regex(run: Run, args: Arguments) -> Regex | None:
    text, flags = to_text(run, argument(args, 0)), argument(args, 1)
    return PATTERNS.create(run, text, flags if isinstance(flags, str) else "")


def _test_regex(run: Run, args: Arguments) -> bool:
    regex, text = argument(args, 0), argument(args, 1)
    if not isinstance(regex, Regex) or not isinstance(text, str):
        raise refused("testRegex", args)
    return PATTERNS.test(run, regex, text)


def _effective_domain(run: Run, args: Arguments) -> Any:
    value = argument(args, 0)
    if value is UNSET or value is None:
        return value
    text = to_text(run, value)
    run.charge(10 + (len(text) >> 3))
    return registrable_domain_of(text)


# -- the table -----------------------------------------------------------------------------------------------

_FUNCTIONS = {
    "makeTableMap": _make_table_map,
    "fromBase64": _from_base64,
    "sha256": _sha256,
    "createRegex": _create_regex,
    "testRegex": _test_regex,
    "computeEffectiveTldPlusOne": _effective_domain,
}

LIBRARY: dict[str, Any] = {
    **{name: Native(name, function) for name, function in _FUNCTIONS.items()},
    **FUNCTIONS,
    "toBase64": ToBase64("toBase64"),
    "parseUrl": ParseUrl("parseUrl", parsed_url),
    "encodeUri": EncodeUri("encodeUri", is_component=False),
    "encodeUriComponent": EncodeUri("encodeUriComponent", is_component=True),
    "decodeUri": _decoder("decodeUri", _KEPT_BY_DECODE_URI),
    "decodeUriComponent": _decoder("decodeUriComponent", ""),
    "JSON": HostObject(
        "JSON",
        {"parse": Native("JSON.parse", _json_parse), "stringify": Native("JSON.stringify", _json_stringify)},
    ),
    "Math": MATH,
    "Object": HostObject(
        "Object",
        {
            "keys": _object_part(0),
            "values": _object_part(1),
            "entries": _object_part(None),
            "freeze": Native("Object.freeze", _freeze),
            "delete": Native("Object.delete", _delete),
        },
    ),
    "Promise": PROMISE,
}
"""Name -> function or object, for every run the same: nothing in it can be changed by a script."""
