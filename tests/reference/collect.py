"""Plain-Python twin of sgtm/_fast/collect.pyx: slow on purpose, written to be read.

SPEC: ga4-protocol 1.3, 2.2 to 2.6, 11; google-runtime 6.4, 6.6. It shares nothing with the compiled
module but the table of names, keys.tsv.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

Data = dict[str, Any]

MAX_LINES = 100
MAX_ITEMS = 200
MAX_BRANDS = 50
MAX_DEPTH = 8

# -- the names ---------------------------------------------------------------------------------

TABLE = Path(__file__).parents[2] / "sgtm" / "_fast" / "keys.tsv"
ROWS = [line.split("\t") for line in TABLE.read_text().splitlines() if not line.startswith("#")][1:]
KNOWN = {wire: (key, type_) for wire, key, type_, _ in ROWS if "*" not in wire and "prN" not in wire}
ITEM_CODES = {wire[4:]: (key[8:], type_) for wire, key, type_, _ in ROWS if wire.startswith("prN.")}
OBJECTS = {"items", "user_data", "client_hints", "event_location"} | {
    "x-ga-system_properties",
    "x-sst-system_properties",
    "x-ga-mp2-user_properties",
}


# -- values ------------------------------------------------------------------------------------


def decode(raw: bytes) -> str:
    """One layer of form encoding: `+` is a space, broken escapes stay, invalid UTF-8 is U+FFFD."""
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8", "replace")


def decode_again(text: str) -> str:
    """One more layer of encodeURIComponent: here `+` is a plus."""
    return unquote_to_bytes(text.encode()).decode("utf-8", "replace")


def number(text: str) -> int | float | None:
    if len(text.encode()) > 40 or not re.fullmatch(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", text):
        return None
    if re.fullmatch(r"-?[0-9]+\.?", text):
        return int(text.rstrip("."))
    value = float(text)
    if abs(value) < 9e15 and value.is_integer():
        return int(value)
    return value if abs(value) != float("inf") else None


def bits(text: str) -> list[int] | str:
    """Bit b is byte b div 8, bit b mod 8, in base64 for URLs without padding (11.1.5)."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{2,64}", text) or len(text) % 4 == 1:
        return text
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    binary = "".join(format(alphabet.index(letter), "06b") for letter in text)
    whole = len(binary) // 8 * 8
    if "1" in binary[whole:]:
        return text
    octets = [binary[start : start + 8] for start in range(0, whole, 8)]
    return [
        8 * place + bit for place, octet in enumerate(octets) for bit in range(8) if octet[7 - bit] == "1"
    ]


def brands(text: str) -> list[Data]:
    if ";" not in text:
        text = decode_again(text)
    pairs = [part.partition(";") for part in text.split("|") if part]
    return [
        {"brand": decode_again(brand), "version": decode_again(version)}
        for brand, _, version in pairs[:MAX_BRANDS]
    ]


def region(text: str) -> Data | None:
    country, _, rest = text.partition("-")
    if rest:
        return {"country": country, "region": rest}
    return {"country": text} if text else None


def typed(text: str, type_: str) -> Any:
    """The value of a parameter of a type of keys.tsv; None: nothing is written."""
    match type_:
        case "number":
            value = number(text)
            return text if value is None else value
        case "measure":
            return number(text)
        case "filled":
            return text or None
        case "flag":
            return {"1": True, "0": False}.get(text, text)
        case "true":
            return True if text == "1" else text
        case "yes":
            return text == "1"
        case "bits":
            return bits(text)
        case "brands":
            return brands(text)
        case "region":
            return region(text)
    return text


def item(text: str) -> Data | None:
    """`prN`: a single `~` ends a pair if a code follows, else it belongs to the value; `~~` is `~`."""
    parts = split_at_single_tildes(text)
    pairs: list[tuple[str, str]] = []
    opened = set()
    for part in parts:
        code = part[:2]
        if re.fullmatch("k[0-9A-Z]", code):
            opened.add(code[1])
        is_value = re.fullmatch("v[0-9A-Z]", code) and code[1] in opened
        if code in ITEM_CODES or re.fullmatch("k[0-9A-Z]", code) or is_value:
            pairs.append((code, part[2:]))
        elif pairs:
            pairs[-1] = (pairs[-1][0], pairs[-1][1] + "~" + part)
        else:
            return None
    return read_pairs([(code, value.replace("~~", "~")) for code, value in pairs])


def split_at_single_tildes(text: str) -> list[str]:
    """Left to right: two tildes stay together, one that is alone separates."""
    parts = [""]
    for piece in re.findall(r"~~|~|[^~]+", text):
        if piece == "~":
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def read_pairs(pairs: list[tuple[str, str]]) -> Data:
    made: Data = {}
    names: dict[str, str] = {}
    for code, value in pairs:
        if code in ITEM_CODES:
            key, type_ = ITEM_CODES[code]
            made[key] = typed(value, type_)
        elif code[0] == "k":
            names[code[1]] = value
            made[value] = ""
        else:
            made[names[code[1]]] = value
    return made


# -- one query string or line --------------------------------------------------------------------


def read_line(line: bytes) -> Data:
    data: Data = {}
    items: dict[int, Data] = {}
    for part in line.split(b"&"):
        raw_name, _, raw_value = part.partition(b"=")
        if raw_name:
            add(data, items, unquote_to_bytes(raw_name.replace(b"+", b" ")), decode(raw_value))
    user_data = data.get("user_data")
    if isinstance(user_data, dict):
        data["user_data"] = {step: with_lists(value) for step, value in user_data.items()}
    return data


def add(data: Data, items: dict[int, Data], wire: bytes, text: str) -> None:
    name = wire.decode("utf-8", "replace")
    if name in KNOWN and name.encode() == wire:
        key, type_ = KNOWN[name]
        parent, _, member = key.rpartition(".")
        add_value(object_in(data, parent) if parent else data, member, typed(text, type_))
        return
    if re.fullmatch(r"pr[1-9][0-9]{0,2}", name) and int(name[2:]) <= MAX_ITEMS:
        add_item(data, items, int(name[2:]), text)
        return
    for prefix, type_ in (("ep.", "text"), ("epn.", "number")):
        if name.startswith(prefix + "user_data.") and name != prefix + "user_data.":
            add_user_data(data, name[len(prefix + "user_data.") :], typed(text, type_))
            return
        if name.startswith(prefix) and name != prefix:
            add_event_parameter(data, name[len(prefix) :], typed(text, type_))
            return
    for prefix, type_ in (("up.", "text"), ("upn.", "number")):
        if name.startswith(prefix) and name != prefix:
            object_in(data, "x-ga-mp2-user_properties")[name[len(prefix) :]] = typed(text, type_)
            return
    if name.startswith("sst.") and name != "sst.":
        add_value(object_in(data, "x-sst-system_properties"), name[4:], text)
    elif name.startswith("_") and name != "_":
        add_value(object_in(data, "x-ga-system_properties"), name[1:], text)
    else:
        add_value(data, "x-ga-mp2-" + name, text)


def add_value(data: Data, key: str, value: Any) -> None:
    """Top-level names: the first stays; a region takes the place of a text."""
    if value is not None and (
        key not in data or (isinstance(value, dict) and not isinstance(data[key], dict))
    ):
        data[key] = value


def object_in(data: Data, key: str) -> Data:
    """The object under `key`; it takes the place of a text of that name."""
    if not isinstance(data.get(key), dict):
        data[key] = {}
    made: Data = data[key]
    return made


def add_event_parameter(data: Data, key: str, value: Any) -> None:
    is_beaten = key in OBJECTS and isinstance(data.get(key), (dict, list))
    if key != "event_name" and not is_beaten:
        data[key] = value


def add_item(data: Data, items: dict[int, Data], place: int, text: str) -> None:
    if place in items:
        return
    made = item(text)
    if made is None:
        add_value(data, f"x-ga-mp2-pr{place}", text)
        return
    items[place] = made
    data["items"] = [items[place] for place in sorted(items)]


def add_user_data(data: Data, path: str, value: Any) -> None:
    node = object_in(data, "user_data")
    *steps, last = path.split(".", MAX_DEPTH - 1)
    for step in steps:
        node = object_in(node, step)
    if not isinstance(node.get(last), dict):
        node[last] = value


def with_lists(node: Any) -> Any:
    """Objects whose keys run from 0 to n - 1 become lists."""
    if not isinstance(node, dict):
        return node
    made = {step: with_lists(value) for step, value in node.items()}
    places = [str(place) for place in range(len(made))]
    return [made[place] for place in places] if set(places) == set(made) and made else made


# -- a whole hit ---------------------------------------------------------------------------------


def merged(line: Data, shared: Data) -> Data:
    """The line, then what it did not set; objects of members are merged, a region is one value."""
    made = dict(line)
    for key, value in shared.items():
        own = made.get(key)
        if key not in made:
            made[key] = copied(value)
        elif isinstance(value, dict) and isinstance(own, dict) and key != "event_location":
            made[key] = merged(own, value)
        elif isinstance(value, (dict, list)) and not isinstance(own, (dict, list)):
            made[key] = copied(value)
    return made


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: copied(member) for key, member in value.items()}
    return [copied(member) for member in value] if isinstance(value, list) else value


def parse_collect(query: bytes, body: bytes) -> list[Data]:
    shared = read_line(query)
    lines = [line.removesuffix(b"\r") for line in body.split(b"\n")]
    read = [read_line(line) for line in lines if line.strip(b" \t\r")][:MAX_LINES]
    events = [merged(line, shared) for line in read if "event_name" in line]
    if not events:
        rest: Data = {}
        for line in read:
            rest = merged(rest, line)
        events = [rest] if "event_name" in (rest := merged(rest, shared)) else []
    return events


# -- what the server adds --------------------------------------------------------------------------

LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
TYPES = ("ad_storage", "analytics_storage", "ad_user_data", "ad_personalization")
SAYS = {2: False, 3: True}


def consent_states(gcs: Any, gcd: Any) -> list[bool | None]:
    """SPEC: google-runtime 6.6. True granted, False denied, None unset."""
    states: list[bool | None] = [None] * 4
    if isinstance(gcs, str) and gcs.startswith("G1") and len(gcs) >= 4:
        states[:2] = [{"1": True, "0": False}.get(letter) for letter in gcs[2:4]]
    if not isinstance(gcd, str):
        return states
    codes = [max(LETTERS.find(letter), 0) for letter in gcd]
    pairs = list(zip(codes[1:9:2], codes[2:9:2], strict=False))
    scoped = [None] * 4
    if len(codes) == 12 and codes[11] & 4:
        scoped = [SAYS.get(code & 3) for code in (codes[10] >> 4, codes[10] >> 2, codes[10], codes[11])]
    explicit = [first(SAYS.get(b & 3), SAYS.get(b >> 2 & 3), scoped[n]) for n, (_, b) in enumerate(pairs)]
    for place, (implicit, second) in enumerate(pairs):
        delegate = (implicit >> 2) - 12
        states[place] = first(
            explicit[place],
            explicit[delegate] if 0 <= delegate < len(pairs) else None,
            SAYS.get(second >> 4 & 3),
            SAYS.get(implicit & 3),
            states[place],
        )
    return states


def first(*states: bool | None) -> bool | None:
    return next((state for state in states if state is not None), None)


def consent_of(data: Data, sst: Data) -> Data:
    states = consent_states(data.get("x-ga-gcs"), data.get("x-ga-gcd"))
    return {
        "consentGrantedState": {name: state is not False for name, state in zip(TYPES, states, strict=True)},
        "isUpdate": data.get("x-ga-gcu") == "1",
        "updateType": str(data.get("x-ga-mp2-gcut") or sst.get("gcut") or ""),
    }


QUOTED = rb'"((?:[^"\\]|\\.)*)(?:"|\\?\Z)'
HEADER_BRAND = re.compile(QUOTED + b"(?:;v=" + QUOTED + b")?", re.DOTALL)


def header_brands(header: bytes) -> list[Data]:
    """`"brand";v="1", "brand";v="2"`."""
    found = [match.groups(b"") for match in HEADER_BRAND.finditer(header)]
    texts = [
        [re.sub(rb"\\(.)", rb"\1", part, flags=re.DOTALL).decode("utf-8", "replace") for part in pair]
        for pair in found
    ]
    return [{"brand": brand, "version": version} for brand, version in texts[:MAX_BRANDS]]


def header_hints(headers: dict[bytes, bytes]) -> Data:
    hints: Data = {}
    if b"sec-ch-ua" in headers:
        hints["brands"] = header_brands(headers[b"sec-ch-ua"])
    if b"sec-ch-ua-mobile" in headers:
        hints["mobile"] = headers[b"sec-ch-ua-mobile"].strip() == b"?1"
    if b"sec-ch-ua-platform" in headers:
        hints["platform"] = headers[b"sec-ch-ua-platform"].decode("utf-8", "replace")
    return hints


def add_request_data(
    events: list[Data],
    headers: tuple[tuple[bytes, bytes], ...],
    remote_address: str,
    received_micros: int,
) -> None:
    firsts = dict(reversed(headers))
    for data in events:
        sst = object_in(data, "x-sst-system_properties")
        sst.pop("consent", None)
        sst.pop("request_start_time_ms", None)
        sst["consent"] = consent_of(data, sst)
        sst["request_start_time_ms"] = received_micros // 1000
        data.pop("ip_override", None)
        data["ip_override"] = remote_address
        if b"user-agent" in firsts:
            data.setdefault("user_agent", firsts[b"user-agent"].decode("utf-8", "replace"))
        hints = header_hints(firsts)
        if not isinstance(data.get("client_hints"), dict):
            if hints:
                data["client_hints"] = hints
        elif "brands" in hints:
            data["client_hints"]["brands"] = hints["brands"]


def find_parameter(text: bytes, name: bytes) -> str | None:
    for part in re.split(rb"[&\r\n]", text):
        written, _, value = part.partition(b"=")
        if name and written == name:
            return decode(value)
    return None
