"""Twin of sgtm/_fast/encode.pyx: event data -> GA4 hit, slow on purpose, written to be read.

SPEC: ga4-protocol 6, google-runtime 6.1 to 6.5. One list of `name=value` texts for each block.
"""

import base64
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

KEYS = Path(__file__).parents[2] / "sgtm" / "_fast" / "keys.tsv"
ROWS = [line.split("\t") for line in KEYS.read_text().splitlines() if not line.startswith("#")][1:]
WIRE = {key: (wire, type_) for wire, key, type_, _ in ROWS if "*" not in wire and not wire.startswith("prN")}
ITEM_CODES = {key.removeprefix("items.N."): wire[4:] for wire, key, _, _ in ROWS if wire.startswith("prN")}
NOT_FORWARDED = {key for _, key, _, forward in ROWS if forward == "no"} | {"user_agent"}
WIRE_NAMES = {wire for wire, _ in WIRE.values()}
PREFIXES = ("_", "ep.", "epn.", "up.", "upn.", "sst.")

# google-runtime 6.1: blocks in their order. A string is a block of the names in it, in data order.
BLOCKS = [
    *("v", "tid", "gtm", "_p", "em", "_gaz", "gcs", "gcu", "gcd", "npa", "_ng", "dma_cps", "dma", "tcfd"),
    "gdid",
    "(shared)",
    "_s",
    "tag_exp",
    "sid sct seg dl dr dt uid cu dp cc ci cm cn cs ck _tu",
    *("en", "_fv", "_nsi", "_ss", "_c", "_ee"),
    "(items)",
    "edid",
    "(gap)",
    "(parameters) _et",
    "(user properties)",
    "(ext)",
    "tfd",
]
RANK = {name: rank for rank, block in enumerate(BLOCKS) for name in block.split()} | {
    block: rank for rank, block in enumerate(BLOCKS) if block.startswith("(")
}
RANK["(parameters)"] = BLOCKS.index("(parameters) _et")
EVENT_BLOCK = range(BLOCKS.index("en"), BLOCKS.index("tfd"))


def component(text):
    """encodeURIComponent; a lone surrogate becomes U+FFFD."""
    sound = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    return quote(sound, safe="-_.!~*'()")


def number_text(number):
    """JavaScript's String(number), from the shortest digits; whole numbers of 128 bits keep theirs."""
    if isinstance(number, int) and number.bit_length() <= 128:
        return int.__repr__(int(number))
    try:
        number = float(number)
    except OverflowError:
        return "Infinity" if number > 0 else "-Infinity"
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    _, numerals, exponent = Decimal(repr(abs(number))).normalize().as_tuple()
    digits, sign = "".join(map(str, numerals)), "-" if number < 0 else ""
    point = len(digits) + exponent
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    rest = "." + digits[1:] if digits[1:] else ""
    return f"{sign}{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def value_text(value, depth=0):
    """JavaScript's String(value), but null and undefined are empty as in a joined list."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, (list, tuple)) and depth < 16:
        return ",".join(value_text(member, depth + 1) for member in value)
    return ""


def is_scalar(value):
    return value is None or isinstance(value, (str, int, float, bytes))


def is_json(value):
    return is_scalar(value) or isinstance(value, (dict, list, tuple))


def known_text(value):
    """Under Google's own names booleans are 1 and 0."""
    return str(int(value)) if isinstance(value, bool) else value_text(value)


def fields(mapping):
    return [(name, value) for name, value in mapping.items() if isinstance(name, str)]


class Blocks:
    """The hit in the making."""

    def __init__(self):
        self.parts = [[] for _ in BLOCKS]
        self.nested = 0

    def add(self, block, name, escaped_value):
        self.parts[RANK[block]].append(f"{name}={escaped_value}")

    def add_known(self, wire, value):
        self.add(wire if wire in RANK else "(shared)", wire, component(known_text(value)))

    def add_parameter(self, prefix, name, value):
        if is_json(value):
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
            block = "(parameters)" if prefix == "ep" else "(user properties)"
            name = f"{prefix}{'n' if is_number else ''}.{component(name)}"
            self.add(block, name, component(value_text(value)))

    def add_key(self, key, value, data):
        wire, type_ = WIRE.get(key, ("", ""))
        if key in NOT_FORWARDED:
            return
        if key == "items" and isinstance(value, (list, tuple)):
            self.add_items(value)
        elif key == "user_data" and isinstance(value, (dict, list, tuple)):
            self.add_nested(key, value, 0)
        elif key == "x-ga-mp2-user_properties" and isinstance(value, dict):
            for name, member in fields(value):
                self.add_parameter("up", name, member)
        elif key == "x-ga-system_properties" and isinstance(value, dict):
            self.add_system(value, has_address=bool(data.get("ip_override")))
        elif key == "client_hints" and isinstance(value, dict):
            self.add_hints(value)
        elif key == "ip_override" and is_scalar(value):
            self.add_known("_uip", value)
        elif type_ == "region" and isinstance(value, dict):
            self.add_region(value)
        elif wire and type_ != "region" and is_scalar(value):
            self.add_wire(wire, type_, key, value)
        else:
            self.add_other(key, value)

    def add_wire(self, wire, type_, key, value):
        if type_ == "measure" and not is_measure(value):
            self.add_parameter("ep", key, value)
        elif type_ != "filled" or value:
            self.add_known(wire, value)

    def add_other(self, key, value):
        if key.startswith("x-ga-mp2-"):
            name = key.removeprefix("x-ga-mp2-")
            is_own = name in WIRE_NAMES or (name.startswith(PREFIXES) and name not in PREFIXES)
            if name and is_scalar(value) and not is_own:
                block = {"gap.": "(gap)", "ext.": "(ext)"}.get(name[:4], "(shared)")
                self.add(block, component(name), component(known_text(value)))
        elif not key.startswith(("x-ga-", "x-sst-", "x-ads-")):
            self.add_parameter("ep", key, value)

    def add_items(self, items):
        encoded = [item_text(item) for item in items if isinstance(item, dict)]
        for number, text in enumerate([text for text in encoded if text][:200], 1):
            self.add("(items)", f"pr{number}", text)

    def add_nested(self, path, value, depth):
        if depth == 16 or len(path) > 100:
            return
        if isinstance(value, dict):
            for name, member in fields(value):
                self.add_nested(f"{path}.{name}", member, depth + 1)
        elif isinstance(value, (list, tuple)):
            for index, member in enumerate(value):
                self.add_nested(f"{path}.{index}", member, depth + 1)
        elif self.nested < 200:
            self.nested += 1
            self.add_parameter("ep", path, value)

    def add_system(self, system, has_address):
        for name, value in fields(system):
            wire = f"_{name}"
            if not name or (wire in WIRE_NAMES and f"x-ga-system_properties.{name}" not in WIRE):
                continue
            if name == "eu" and isinstance(value, (list, tuple)):
                self.add("(shared)", "_eu", bits_text(value))
            elif is_scalar(value) and not (name == "uip" and has_address):
                self.add(wire if wire in RANK else "(shared)", component(wire), component(known_text(value)))

    def add_hints(self, hints):
        for key, (wire, type_) in WIRE.items():
            parent, _, member = key.partition(".")
            if parent != "client_hints":
                continue
            value = hints.get(member)
            if type_ == "brands":
                if isinstance(value, (list, tuple)):
                    self.add("(shared)", wire, component("|".join(map(brand_text, brands_in(value)))))
            elif value is not None and is_scalar(value):
                if "brands" in hints and isinstance(value, str):
                    value = value.strip('"')
                self.add_known(wire, value)

    def add_region(self, place):
        country, region = place.get("country"), place.get("region")
        text = country if isinstance(country, str) else ""
        if isinstance(region, str) and region:
            text = f"{text}-{region}"
        if text:
            self.add_known("ur", text)

    def text(self, ranks):
        return "&".join(part for rank in ranks for part in self.parts[rank]).encode("ascii")


def brands_in(members):
    return [member for member in members if isinstance(member, dict)]


def brand_text(pair):
    return ";".join(component(value_text(pair.get(name))) for name in ("brand", "version"))


def is_measure(value):
    if isinstance(value, str):
        return value.isascii() and value.isdecimal()
    return isinstance(value, (int, float)) and value - value == 0


def item_text(item):
    pairs, custom = [], "0123456789ABCDEFGHIJKLMNOPQ"
    for key, value in fields(item):
        if value is None or not is_json(value):
            continue
        text = component(value_text(value)).replace("~", "~~")
        if key in ITEM_CODES:
            pairs.append(ITEM_CODES[key] + text)
        elif custom:
            index, custom = custom[0], custom[1:]
            pairs.append(f"k{index}" + component(key).replace("~", "~~"))
            pairs.append(f"v{index}{text}")
    return "~".join(pairs)


def bits_text(numbers):
    bits = [number for number in numbers if isinstance(number, int) and 0 <= number < 384]
    size = max(bits, default=0) // 8 + 1
    whole = sum(1 << bit for bit in set(map(int, bits)))
    return base64.urlsafe_b64encode(whole.to_bytes(size, "little")).rstrip(b"=").decode()


def blocks_of(data):
    blocks = Blocks()
    for key, value in fields(data):
        blocks.add_key(key, value, data)
    return blocks


def encode_query(data):
    return blocks_of(data).text(range(len(BLOCKS)))


def encode_request(data, max_query):
    blocks, query = blocks_of(data), encode_query(data)
    if len(query) <= max_query:
        return query, b""
    outside = [rank for rank in range(len(BLOCKS)) if rank not in EVENT_BLOCK]
    return blocks.text(outside), blocks.text(EVENT_BLOCK)
