# Event data -> GA4 hit. SPEC: ga4-protocol 6 (what is sent on), google-runtime 6.1 to 6.5 (order, values,
# items, body) and 11.1.5 (bit sets). The twin that is easier to read: tests/reference/encode.py.
#
# One pass over the event data. Each parameter is written into one arena under the rank of its block;
# runs of the same rank are one segment. At the end the segments are copied out rank by rank: so the hit
# has Google's order although event data have their own, and within a block theirs is kept.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_GET_LENGTH, PyUnicode_KIND, PyUnicode_READ
from libc.string cimport memcpy

from sgtm._fast.javascript cimport IN_ITEM, PLAIN, TWICE, number_text, put_byte

# The blocks of a hit, in the order of google-runtime 6.1. Names that stand for themselves come first in
# their order; a block that holds several keeps the order of the event data.
cdef enum:
    R_SHARED = 15
    R_PAGE = 18
    R_EVENT_NAME = 19       # from here to R_EXT: the event block, which may move into the body
    R_ITEMS = 25
    R_GAP = 27, R_PARAMETER = 28, R_USER_PROPERTY = 29, R_EXT = 30, R_TAIL = 31, RANKS = 32

cdef dict FIXED_RANKS = {
    **{name: rank for rank, name in enumerate(
        "v tid gtm _p em _gaz gcs gcu gcd npa _ng dma_cps dma tcfd gdid".split())},
    "_s": 16,
    "tag_exp": 17,
    **dict.fromkeys("sid sct seg dl dr dt uid cu dp cc ci cm cn cs ck _tu".split(), R_PAGE),
    **{name: rank for rank, name in enumerate("en _fv _nsi _ss _c _ee".split(), R_EVENT_NAME)},
    "edid": 26,
    "_et": R_PARAMETER,
    "tfd": R_TAIL,
}

# How keys.pxi names the treatment of a parameter, and below them what only this direction knows.
cdef enum:
    TEXT, FILLED, NUMBER, MEASURE, FLAG, LAST_SCALAR = FLAG
    REGION, HINT_TEXT, HINT_YES, HINT_BRANDS, SYSTEM_TEXT, SYSTEM_TRUE, SYSTEM_BITS, ITEM_TEXT, ITEM_NUMBER
    ITEMS, USER_DATA, USER_PROPERTIES, SYSTEM, HINTS, LEFT_OUT

include "keys.pxi"

cdef enum:
    MAX_DEPTH = 16          # nesting that is followed in lists and user data; deeper values are left out
    MAX_PATH = 100          # characters of a name in user data, which stands before each of its members;
    MAX_USER_DATA = 200     # and of these: else a hit could be hundreds of times larger than its event
    MAX_ITEMS = 200         # SPEC: google-runtime 6.4
    MAX_CUSTOM = 27         # custom pairs of an item: one index character each
    BITS = 384              # of a bit set: what the parser reads; gtag uses 40

cdef const char* CUSTOM_INDEX = "0123456789ABCDEFGHIJKLMNOPQ"
cdef const char* BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


cdef class _Rule:
    # Where one key of event data goes.
    cdef bytes wire
    cdef int type, rank

    def __init__(self, str wire not None, int type, int rank):
        self.wire = b"&%s=" % wire.encode()
        self.type, self.rank = type, rank


cdef dict TOP_RULES = {
    "items": _Rule("", ITEMS, 0),
    "user_data": _Rule("", USER_DATA, 0),
    "x-ga-mp2-user_properties": _Rule("", USER_PROPERTIES, 0),
    "x-ga-system_properties": _Rule("", SYSTEM, 0),
    "client_hints": _Rule("", HINTS, 0),
    "ip_override": _Rule("_uip", TEXT, R_SHARED),
    # Sent as a header, or not sent on at all (ga4-protocol 6; keys.tsv, column `forward`).
    "user_agent": _Rule("", LEFT_OUT, 0),
    "x-ga-mp2-richsstsse": _Rule("", LEFT_OUT, 0),
}
cdef dict SYSTEM_RULES = {}, HINT_RULES = {}
for _wire, (_kind, _, _member) in _KNOWN.items():
    _name = _wire.decode()
    _rule = _Rule(_name, _kind, FIXED_RANKS.get(_name, R_SHARED))
    if _kind in (HINT_TEXT, HINT_YES, HINT_BRANDS):
        HINT_RULES[_member] = _rule
    elif _kind in (SYSTEM_TEXT, SYSTEM_TRUE, SYSTEM_BITS):
        SYSTEM_RULES[_member] = _rule
    else:
        TOP_RULES.setdefault(_member, _rule)
cdef dict CODES = {_key: _code for _code, _, _key in _ITEM_CODES}
cdef frozenset OWN_WIRE_NAMES = frozenset([_wire.decode() for _wire in _KNOWN])
cdef tuple OWN_PREFIXES = ("_", "ep.", "epn.", "up.", "upn.", "sst.")


cdef struct Segment:
    Py_ssize_t start, end
    int next


cdef void* grown(void* memory, Py_ssize_t size) except NULL:
    memory = PyMem_Realloc(memory, size)
    if memory is NULL:
        raise MemoryError
    return memory


cdef class _Writer:
    # The arena, and for each rank the list of its segments.
    cdef char* data
    cdef Py_ssize_t size, capacity
    cdef Segment* segments
    cdef int count, room, rank, nested
    cdef int[RANKS] first, last

    def __cinit__(self):
        self.capacity, self.room = 2048, 64
        self.data = <char*> grown(NULL, self.capacity)
        self.segments = <Segment*> grown(NULL, self.room * sizeof(Segment))
        self.rank = -1
        for rank in range(RANKS):
            self.first[rank] = self.last[rank] = -1

    def __dealloc__(self):
        PyMem_Free(self.data)
        PyMem_Free(self.segments)

    cdef int at(self, int rank) except -1:
        # What is written next belongs to the block of this rank.
        if rank == self.rank:
            return 0
        self.close()
        if self.count == self.room:
            self.segments = <Segment*> grown(self.segments, 2 * self.room * sizeof(Segment))
            self.room *= 2
        self.segments[self.count] = Segment(self.size, self.size, -1)
        if self.first[rank] < 0:
            self.first[rank] = self.count
        else:
            self.segments[self.last[rank]].next = self.count
        self.last[rank] = self.count
        self.rank = rank
        self.count += 1
        return 0

    cdef void close(self) noexcept:
        if self.count:
            self.segments[self.count - 1].end = self.size

    cdef int reserve(self, Py_ssize_t size) except -1:
        if self.size + size > self.capacity:
            self.data = <char*> grown(self.data, 2 * (self.size + size))
            self.capacity = 2 * (self.size + size)
        return 0

    cdef int raw(self, const char* text, Py_ssize_t size) except -1:
        self.reserve(size)
        memcpy(self.data + self.size, text, size)
        self.size += size
        return 0

    cdef int ascii(self, bytes text) except -1:
        return self.raw(PyBytes_AS_STRING(text), len(text))

    cdef int text(self, str text, int escape) except -1:
        cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text), index
        cdef int kind = PyUnicode_KIND(text)
        cdef void* source = PyUnicode_DATA(text)
        cdef unsigned int code
        cdef char* out
        # Bytes of UTF-8 that a character of this kind can have, times what one escaped byte takes.
        self.reserve(length * (kind + 1 if kind < 4 else 4) * (5 if escape == TWICE else 3))
        out = self.data + self.size
        for index in range(length):
            code = (<unsigned char*>source)[index] if kind == 1 else PyUnicode_READ(kind, source, index)
            if code < 0x80:
                out = put_byte(out, <unsigned char>code, escape)
                continue
            if 0xD800 <= code < 0xE000:
                code = 0xFFFD  # a lone surrogate, where JavaScript would throw
            if code < 0x800:
                out = put_byte(out, <unsigned char>(0xC0 | code >> 6), escape)
            else:
                if code < 0x10000:
                    out = put_byte(out, <unsigned char>(0xE0 | code >> 12), escape)
                else:
                    out = put_byte(out, <unsigned char>(0xF0 | code >> 18), escape)
                    out = put_byte(out, <unsigned char>(0x80 | code >> 12 & 63), escape)
                out = put_byte(out, <unsigned char>(0x80 | code >> 6 & 63), escape)
            out = put_byte(out, <unsigned char>(0x80 | code & 63), escape)
        self.size = out - self.data
        return 0

    cdef int value(self, value, int escape, int depth) except -1:
        # JavaScript's text of a value; null, undefined and what is too deep are empty.
        cdef bint is_first = True
        if isinstance(value, str):
            self.text(value, escape)
        elif value is True:
            self.raw("true", 4)
        elif value is False:
            self.raw("false", 5)
        elif isinstance(value, (int, float)):
            self.text(number_text(value), escape)
        elif isinstance(value, bytes):
            self.text(value.decode("utf-8", "replace"), escape)
        elif isinstance(value, dict):
            self.text("[object Object]", escape)
        elif isinstance(value, (list, tuple)) and depth < MAX_DEPTH:
            for member in value:
                if not is_first:
                    self.text(",", escape)
                is_first = False
                self.value(member, escape, depth + 1)
        return 0

    cdef bytes copy(self, int first_rank, int last_rank, bytes tail):
        # The parameters of these blocks, without the `&` of the first, then `tail` (begins with `&`).
        cdef Py_ssize_t size = len(tail)
        cdef int rank, index
        cdef bytes copied
        cdef char* out
        self.close()
        for rank in range(first_rank, last_rank + 1):
            index = self.first[rank]
            while index >= 0:
                size += self.segments[index].end - self.segments[index].start
                index = self.segments[index].next
        if not size:
            return b""
        copied = PyBytes_FromStringAndSize(NULL, size)
        out = PyBytes_AS_STRING(copied)
        for rank in range(first_rank, last_rank + 1):
            index = self.first[rank]
            while index >= 0:
                size = self.segments[index].end - self.segments[index].start
                memcpy(out, self.data + self.segments[index].start, size)
                out += size
                index = self.segments[index].next
        memcpy(out, PyBytes_AS_STRING(tail), len(tail))
        return copied


cdef inline bint is_scalar(value):
    return isinstance(value, str) or value is None or isinstance(value, (int, float, bytes))


cdef bint is_json(value):
    return is_scalar(value) or isinstance(value, (dict, list, tuple))


cdef int put(_Writer writer, _Rule rule, value) except -1:
    # A value under a wire name of Google's: booleans are 1 and 0 there, null is empty.
    writer.at(rule.rank)
    writer.ascii(rule.wire)
    if isinstance(value, str):
        writer.text(value, PLAIN)
    elif isinstance(value, bool):
        writer.raw("1" if value else "0", 1)
    else:
        writer.value(value, PLAIN, 0)
    return 0


cdef int put_parameter(_Writer writer, str prefix, int rank, str name, value) except -1:
    # A value under a name of the site's: numbers as `epn.` or `upn.`, everything else as `ep.` or `up.`.
    cdef bint is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
    if is_json(value):
        writer.at(rank)
        writer.raw("&", 1)
        writer.text(prefix, PLAIN)
        writer.raw("n." if is_number else ".", 2 if is_number else 1)
        writer.text(name, PLAIN)
        writer.raw("=", 1)
        writer.value(value, PLAIN, 0)
    return 0


cdef int put_known(_Writer writer, _Rule rule, str key, value, dict data) except -1:
    cdef int type = rule.type
    if type == LEFT_OUT:
        return 0
    if is_scalar(value):
        if type == MEASURE and not is_measure(value):
            return put_parameter(writer, "ep", R_PARAMETER, key, value)
        if type <= LAST_SCALAR:
            return 0 if type == FILLED and not value else put(writer, rule, value)
    elif type == ITEMS and isinstance(value, (list, tuple)):
        return put_items(writer, value)
    elif type == USER_DATA and isinstance(value, (dict, list, tuple)):
        return put_nested(writer, key, value, 0)
    elif isinstance(value, dict):
        if type == USER_PROPERTIES:
            return put_user_properties(writer, value)
        if type == SYSTEM:
            return put_system(writer, value, data)
        if type == HINTS:
            return put_hints(writer, value)
        if type == REGION:
            return put_region(writer, rule, value)
    return put_other(writer, key, value)


cdef bint is_measure(value):
    # The parser leaves out a measure that is no number, so only what it keeps may go under its name.
    if isinstance(value, str):
        return value.isascii() and value.isdecimal()
    return isinstance(value, (int, float)) and value - value == 0


cdef int put_other(_Writer writer, str key, value) except -1:
    # A key without a wire name of its own.
    cdef str name
    cdef int rank
    if key.startswith("x-ga-mp2-"):
        name = key[9:]
        if name and is_scalar(value) and not is_own_wire_name(name):
            rank = R_GAP if name.startswith("gap.") else R_EXT if name.startswith("ext.") else R_SHARED
            put(writer, _Rule(encoded(name), TEXT, rank), value)
    elif not key.startswith(("x-ga-", "x-sst-", "x-ads-")):
        put_parameter(writer, "ep", R_PARAMETER, key, value)
    return 0


cdef bint is_own_wire_name(str name):
    # Names that the parser reads as something else: `x-ga-mp2-tid` must never become a second `tid`.
    return name in OWN_WIRE_NAMES or name.startswith(OWN_PREFIXES) and name not in OWN_PREFIXES


cdef int put_items(_Writer writer, items) except -1:
    # Items without any pair are left out, and the numbers run on.
    cdef int number = 0
    cdef Py_ssize_t start
    writer.at(R_ITEMS)
    for item in items:
        if number == MAX_ITEMS:
            break
        if isinstance(item, dict):
            start = writer.size
            writer.ascii(b"&pr%d=" % (number + 1))
            if put_item(writer, item):
                number += 1
            else:
                writer.size = start
    return 0


cdef bint put_item(_Writer writer, dict item) except -1:
    # Pairs joined by `~`: a two-letter code and the value, or `k0name~v0value` for custom names.
    cdef int custom = 0
    cdef bint is_first = True
    for key, value in item.items():
        if not isinstance(key, str) or value is None or not is_json(value):
            continue
        code = CODES.get(key)
        if code is None and custom == MAX_CUSTOM:
            continue
        if not is_first:
            writer.raw("~", 1)
        is_first = False
        if code is not None:
            writer.ascii(code)
        else:
            writer.raw("k", 1)
            writer.raw(CUSTOM_INDEX + custom, 1)
            writer.text(key, IN_ITEM)
            writer.raw("~v", 2)
            writer.raw(CUSTOM_INDEX + custom, 1)
            custom += 1
        writer.value(value, IN_ITEM, 0)
    return not is_first


cdef int put_nested(_Writer writer, str path, value, int depth) except -1:
    # User data: names joined by dots, list positions as numbers (`ep.user_data.address.0.city`).
    cdef int index
    if depth == MAX_DEPTH or len(path) > MAX_PATH:
        return 0
    if isinstance(value, dict):
        for name, member in value.items():
            if isinstance(name, str):
                put_nested(writer, f"{path}.{name}", member, depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, member in enumerate(value):
            put_nested(writer, f"{path}.{index}", member, depth + 1)
    elif writer.nested < MAX_USER_DATA:
        writer.nested += 1
        put_parameter(writer, "ep", R_PARAMETER, path, value)
    return 0


cdef int put_user_properties(_Writer writer, dict properties) except -1:
    for name, value in properties.items():
        if isinstance(name, str):
            put_parameter(writer, "up", R_USER_PROPERTY, name, value)
    return 0


cdef int put_system(_Writer writer, dict system, dict data) except -1:
    for name, value in system.items():
        if not isinstance(name, str) or not name:
            continue
        rule = SYSTEM_RULES.get(name)
        if rule is None:
            if is_scalar(value) and f"_{name}" not in OWN_WIRE_NAMES:
                put(writer, _Rule("_" + encoded(name), TEXT, R_SHARED), value)
        elif (<_Rule>rule).type == SYSTEM_BITS and isinstance(value, (list, tuple)):
            put_bits(writer, <_Rule>rule, value)
        elif is_scalar(value) and not (name == "uip" and data.get("ip_override")):
            put(writer, <_Rule>rule, value)
    return 0


cdef str encoded(str text):
    cdef _Writer writer = _Writer()
    writer.text(text, PLAIN)
    return writer.data[:writer.size].decode("ascii")


cdef int put_bits(_Writer writer, _Rule rule, numbers) except -1:
    # Bit b is byte b div 8, bit b mod 8; the bytes in web-safe base64 without padding (11.1.5).
    cdef bytearray octets = bytearray(1)
    cdef int bit, index
    cdef unsigned int window
    for number in numbers:
        if isinstance(number, int) and 0 <= number < BITS:
            bit = number
            if bit >> 3 >= len(octets):
                octets.extend(bytes((bit >> 3) + 1 - len(octets)))
            octets[bit >> 3] |= 1 << (bit & 7)
    writer.at(rule.rank)
    writer.ascii(rule.wire)
    for index in range(0, len(octets) * 8, 6):
        window = octets[index >> 3] << 8
        if (index >> 3) + 1 < len(octets):
            window |= octets[(index >> 3) + 1]
        writer.raw(BASE64 + (window >> (10 - (index & 7)) & 63), 1)
    return 0


cdef int put_hints(_Writer writer, dict hints) except -1:
    # Hints that came as headers (they have `brands`) keep the quotes of the header (2.5).
    cdef bint has_quotes = "brands" in hints
    for name, rule in HINT_RULES.items():
        value = hints.get(name)
        if (<_Rule>rule).type == HINT_BRANDS:
            if isinstance(value, (list, tuple)):
                put_brands(writer, <_Rule>rule, value)
        elif value is not None and is_scalar(value):
            if has_quotes and isinstance(value, str):
                value = value.strip('"')
            put(writer, <_Rule>rule, value)
    return 0


cdef int put_brands(_Writer writer, _Rule rule, brands) except -1:
    cdef bint is_first = True
    writer.at(rule.rank)
    writer.ascii(rule.wire)
    for pair in brands:
        if not isinstance(pair, dict):
            continue
        if not is_first:
            writer.raw("%7C", 3)
        is_first = False
        writer.value(pair.get("brand"), TWICE, 0)
        writer.raw("%3B", 3)
        writer.value(pair.get("version"), TWICE, 0)
    return 0


cdef int put_region(_Writer writer, _Rule rule, dict place) except -1:
    country, region = place.get("country"), place.get("region")
    country = country if isinstance(country, str) else ""
    if isinstance(region, str) and region:
        country = f"{country}-{region}"
    return put(writer, rule, country) if country else 0


cdef _Writer encoded_event(dict data):
    cdef _Writer writer = _Writer()
    for key, value in data.items():
        if isinstance(key, str):
            rule = TOP_RULES.get(key)
            if rule is None:
                put_other(writer, key, value)
            else:
                put_known(writer, <_Rule>rule, key, value, data)
    return writer


def encode_query(dict data not None):
    return encoded_event(data).copy(0, RANKS - 1, b"")[1:]


def encode_request(dict data not None, Py_ssize_t max_query):
    cdef _Writer writer = encoded_event(data)
    cdef bytes query = writer.copy(0, RANKS - 1, b"")[1:]
    if len(query) <= max_query:
        return query, b""
    return (
        writer.copy(0, R_EVENT_NAME - 1, writer.copy(R_TAIL, R_TAIL, b""))[1:],
        writer.copy(R_EVENT_NAME, R_TAIL - 1, b"")[1:],
    )
