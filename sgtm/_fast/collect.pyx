# One GA4 collect hit (query string, body lines) -> event data under Google's key names, in one pass.
#
# How it works. `scan` walks the bytes once: it finds where each name and value ends and whether they hold
# an escape, and hashes the name on the way. `find` turns the name into what to do with the value (a Kind)
# and the event data key: each name is classified once and remembered, its key with it. `Hit.add` makes the
# value and puts it in its place. Percent-decoding happens only where an escape was seen, into `scratch`.
#
# Rules of precedence (SPEC: ga4-protocol 1.1, 2.3, 2.6, 11.1.3, 11.3; google-runtime 6.2):
#   - a parameter takes the place at which it (or the object that holds it) first appears;
#   - of a repeated top-level name the first value stays; an event parameter (`ep.`, `epn.`) replaces what
#     stands under its key, except `event_name`;
#   - an object (items, user_data, ...) beats a text of the same name;
#   - what a body line says beats the URL; objects of members (user_data, system properties) are merged.
# No bytes make this raise; a pointer never leaves the bytes it came from.

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from sgtm._fast.objects cimport lists_in, merge
from sgtm._fast.percent cimport decode_percent, find_either, sgtm_special
from sgtm._fast.request_data cimport consent_of, hints_of
from sgtm._fast.values cimport (
    bits_or_text, brands_of, custom_index, decoded_text, flag_or_text, is_blank, is_one, item_text, number_of,
    number_or_text, region_of, text_of,
)

cdef extern from *:
    dict __Pyx_PyDict_NewPresized(Py_ssize_t)  # Cython's own macro: plain PyDict_New where there is no better

cdef enum:
    LINES = 100  # body lines read of one hit; gtag sends at most 20 (SPEC: google-runtime 6.5)
    ITEMS = 200  # SPEC: ga4-protocol 1.3
    DEPTH = 8  # levels of user_data; deeper dots stay in the key
    NAME_LENGTH = 53  # longest name that is remembered, so that a Name fills one cache line
    NAMES = 2048  # a power of two, see `find`

cdef enum Kind:
    IGNORED, TEXT, FILLED, NUMBER, MEASURE, FLAG, REGION, HINT_TEXT, HINT_YES, HINT_BRANDS, SYSTEM_TEXT,
    SYSTEM_TRUE, SYSTEM_BITS, SST, EVENT_TEXT, EVENT_NUMBER, OBJECT_TEXT, OBJECT_NUMBER, USER_TEXT,
    USER_NUMBER, PROPERTY_TEXT, PROPERTY_NUMBER, ITEM, ITEM_TEXT, ITEM_NUMBER, ITEM_KEY, ITEM_VALUE

include "keys.pxi"

cdef tuple PREFIXES = (
    (b"ep.user_data.", USER_TEXT, None), (b"epn.user_data.", USER_NUMBER, None),
    (b"ep.", EVENT_TEXT, ""), (b"epn.", EVENT_NUMBER, ""),
    (b"up.", PROPERTY_TEXT, ""), (b"upn.", PROPERTY_NUMBER, ""),
    (b"sst.", SST, ""), (b"_", SYSTEM_TEXT, ""), (b"", TEXT, "x-ga-mp2-"),
)
cdef tuple CUSTOM_CODES = ((b"k"[0], ITEM_KEY), (b"v"[0], ITEM_VALUE))
cdef frozenset OBJECTS = frozenset((
    "items", "user_data", "client_hints", "event_location",
    "x-ga-system_properties", "x-sst-system_properties", "x-ga-mp2-user_properties",
))
cdef str ITEMS_KEY = "items", USER_DATA = "user_data", HINTS = "client_hints", LOCATION = "event_location"
cdef str SYSTEM = "x-ga-system_properties", SST_KEY = "x-sst-system_properties"
cdef str PROPERTIES = "x-ga-mp2-user_properties", EVENT_NAME = "event_name"
cdef dict KNOWN_NAMES = _KNOWN


# -- names: classified once, then remembered ---------------------------------------------------------

cdef struct Name:
    PyObject* key  # owned: a str, or for user_data the tuple of its steps
    unsigned char kind
    unsigned char number  # N of prN; 1 for user_data with a numeric step
    unsigned char length
    char wire[NAME_LENGTH]

cdef Name NAME_TABLE[NAMES]


cdef tuple classify(bytes wire):
    # (kind, number, key) of a decoded name. Plain and slow: it runs once per name.
    cdef bytes prefix, rest
    known = KNOWN_NAMES.get(wire)
    if known is not None:
        return known
    rest = wire[2:] if wire.startswith(b"pr") else b""
    if rest.isdigit() and rest[:1] != b"0" and len(rest) < 4 and int(rest) <= ITEMS:
        return ITEM, int(rest), "x-ga-mp2-" + wire.decode()
    for prefix, kind, start in PREFIXES:
        if wire.startswith(prefix) and len(wire) > len(prefix):
            rest = wire[len(prefix):]
            if start is None:
                steps = tuple(rest.decode("utf-8", "replace").split(".", DEPTH - 1))
                return kind, any([step.isascii() and step.isdigit() for step in steps]), steps
            key = start + rest.decode("utf-8", "replace")
            if kind in (EVENT_TEXT, EVENT_NUMBER):
                if key == EVENT_NAME:
                    kind = IGNORED
                elif key in OBJECTS:
                    kind = OBJECT_TEXT if kind == EVENT_TEXT else OBJECT_NUMBER
            return kind, 0, key
    return IGNORED, 0, ""


cdef Name* learn(const unsigned char* wire, Py_ssize_t length, uint32_t slot) except NULL:
    # Classify a name and remember it in `slot`; what stood there moves to the neighbour.
    cdef Name* entry = &NAME_TABLE[slot]
    cdef Name* neighbour = &NAME_TABLE[slot ^ 1]
    cdef PyObject* evicted
    kind, number, key = classify(wire[:length])
    evicted = neighbour.key
    neighbour[0] = entry[0]
    Py_INCREF(key)
    entry.key, entry.kind, entry.number, entry.length = <PyObject*> key, kind, number, <unsigned char> length
    memcpy(entry.wire, wire, length)
    Py_XDECREF(evicted)
    return entry


cdef inline Name* find(const unsigned char* wire, Py_ssize_t length, uint32_t hashed) except NULL:
    cdef uint32_t slot = <uint32_t> (hashed * <uint32_t> 0x9E3779B1) >> 21  # 32 - log2 NAMES
    cdef Name* entry = &NAME_TABLE[slot]
    if entry.length == length and memcmp(entry.wire, wire, length) == 0:
        return entry
    entry = &NAME_TABLE[slot ^ 1]
    if entry.length == length and memcmp(entry.wire, wire, length) == 0:
        return entry
    return learn(wire, length, slot)


# -- item codes --------------------------------------------------------------------------------------

cdef unsigned char ITEM_SLOTS[65536]  # by the two bytes of a code; 0: no code
cdef unsigned char ITEM_KINDS[256]
cdef PyObject* ITEM_KEYS[256]


cdef int add_item_codes() except -1:
    cdef int slot = 0
    cdef bytes code
    custom = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # SPEC: google-runtime 8a
    pairs = [(b"%c%c" % (first, letter), kind, None) for first, kind in CUSTOM_CODES for letter in custom]
    for code, kind, key in [*_ITEM_CODES, *pairs]:
        slot += 1
        ITEM_SLOTS[(<int> code[0] << 8) | <int> code[1]] = <unsigned char> slot
        ITEM_KINDS[slot] = <unsigned char> kind
        if key is not None:
            Py_INCREF(key)
            ITEM_KEYS[slot] = <PyObject*> key
    return 0


add_item_codes()


cdef inline int item_slot(const unsigned char* at, const unsigned char* end, uint64_t opened) noexcept:
    # The slot of the code that begins at `at`, or 0. `v` counts only after `k` of the same index.
    cdef int slot = ITEM_SLOTS[(at[0] << 8) | at[1]] if end - at >= 2 else 0
    if slot and ITEM_KINDS[slot] == ITEM_VALUE and not (opened >> custom_index(at[1])) & 1:
        return 0
    return slot


cdef dict parse_item(const unsigned char* at, Py_ssize_t length):
    # `prN` -> item, or None when it does not begin with a code (SPEC: ga4-protocol 1.3, google-runtime 6.4):
    # a single `~` ends a pair if a code follows; else it belongs to the value; `~~` is a tilde.
    cdef const unsigned char* end = at + length
    cdef const unsigned char* tilde
    cdef uint64_t opened = 0
    cdef int slot = item_slot(at, end, 0), following = 0
    cdef bint has_double
    cdef list names = None
    cdef dict item
    if slot == 0:
        return None
    item = __Pyx_PyDict_NewPresized(length >> 3 if length < 256 else 32)
    while True:
        has_double = False
        if ITEM_KINDS[slot] == ITEM_KEY:
            opened |= <uint64_t> 1 << custom_index(at[1])
        at += 2
        tilde = at
        while True:
            tilde = find_either(tilde, end, c'~', c'~', c'~')
            if end - tilde >= 2 and tilde[1] == c'~':
                has_double = True
                tilde += 2
                continue
            following = item_slot(tilde + 1, end, opened)
            if tilde >= end or following:
                break
            tilde += 1
        if ITEM_KINDS[slot] == ITEM_TEXT:
            item[<str> ITEM_KEYS[slot]] = item_text(at, tilde, has_double)
        elif ITEM_KINDS[slot] == ITEM_NUMBER:
            value = number_of(at, tilde - at)
            item[<str> ITEM_KEYS[slot]] = item_text(at, tilde, has_double) if value is None else value
        elif ITEM_KINDS[slot] == ITEM_KEY:
            if names is None:
                names = [None] * 36
            name = names[custom_index((at - 1)[0])] = item_text(at, tilde, has_double)
            item[name] = ""
        else:
            item[names[custom_index((at - 1)[0])]] = item_text(at, tilde, has_double)
        if tilde >= end:
            return item
        at, slot = tilde + 1, following


# -- one query string or body line -------------------------------------------------------------------

@cython.final
@cython.no_gc
cdef class _Hit:
    # Event data in the making. Objects that several parameters fill are at hand as attributes.
    cdef dict data, hints, system, sst, properties, user_data
    cdef list items
    cdef bint has_steps  # user_data has a numeric step: lists may have to be made
    cdef unsigned char numbers[ITEMS + 1]  # N of each item, in the order of `items`
    cdef unsigned char* scratch  # room for one decoded value
    cdef unsigned char* spare  # the same again, for what is decoded twice

    cdef int add(
        self, int kind, int number, key, const unsigned char* at, Py_ssize_t length, Py_ssize_t escape
    ) except -1:
        # Put one parameter in its place; `escape` is the offset of the first escape in the value, or -1.
        if escape >= 0:
            length = decode_percent(at, length, escape, self.scratch, True)
            at = self.scratch
        if kind == TEXT:
            self.data.setdefault(key, text_of(at, length))
        elif kind == EVENT_TEXT:
            self.data[key] = text_of(at, length)
        elif kind == NUMBER:
            self.data.setdefault(key, number_or_text(at, length))
        elif kind == EVENT_NUMBER:
            self.data[key] = number_or_text(at, length)
        elif kind == ITEM:
            self.add_item(number, key, at, length)
        elif kind == SYSTEM_TEXT:
            self.system_object().setdefault(key, text_of(at, length))
        elif kind == SYSTEM_TRUE:
            self.system_object().setdefault(key, True if is_one(at, length) else text_of(at, length))
        elif kind == SYSTEM_BITS:
            self.system_object().setdefault(key, bits_or_text(at, length))
        elif kind == SST:
            if self.sst is None:
                self.sst = self.new_object(SST_KEY)
            self.sst.setdefault(key, text_of(at, length))
        elif kind == HINT_TEXT:
            self.hints_object().setdefault(key, text_of(at, length))
        elif kind == HINT_YES:
            self.hints_object().setdefault(key, is_one(at, length))
        elif kind == HINT_BRANDS:
            self.hints_object().setdefault(key, brands_of(at, length, self.scratch, self.spare))
        elif kind == USER_TEXT:
            self.has_steps |= number
            self.add_user_data(key, text_of(at, length))
        elif kind == PROPERTY_TEXT or kind == PROPERTY_NUMBER:
            if self.properties is None:
                self.properties = self.new_object(PROPERTIES)
            value = text_of(at, length) if kind == PROPERTY_TEXT else number_or_text(at, length)
            self.properties[key] = value
        else:
            self.add_rare(kind, number, key, at, length)
        return 0

    cdef int add_rare(self, int kind, int number, key, const unsigned char* at, Py_ssize_t length) except -1:
        if kind == FILLED:
            if length:
                self.data.setdefault(key, text_of(at, length))
        elif kind == MEASURE:
            value = number_of(at, length)
            if value is not None:
                self.data.setdefault(key, value)
        elif kind == FLAG:
            self.data.setdefault(key, flag_or_text(at, length))
        elif kind == REGION:
            if length and type(self.data.get(key)) is not dict:
                self.data[key] = region_of(at, length)
        elif kind == USER_NUMBER:
            self.has_steps |= number
            self.add_user_data(key, number_or_text(at, length))
        elif kind == OBJECT_TEXT or kind == OBJECT_NUMBER:
            if not isinstance(self.data.get(key), (dict, list)):
                self.data[key] = text_of(at, length) if kind == OBJECT_TEXT else number_or_text(at, length)
        return 0

    cdef dict new_object(self, str key):
        # An empty object under `key`; it takes the place of a text of that name.
        cdef dict made = {}
        self.data[key] = made
        return made

    cdef inline dict system_object(self):
        if self.system is None:
            self.system = self.new_object(SYSTEM)
        return self.system

    cdef inline dict hints_object(self):
        if self.hints is None:
            self.hints = self.new_object(HINTS)
        return self.hints

    cdef int add_item(self, int number, str key, const unsigned char* at, Py_ssize_t length) except -1:
        # Items stand in the order of their numbers, gaps closed; what is none is kept like an unknown name.
        cdef Py_ssize_t place = 0 if self.items is None else len(self.items)
        cdef Py_ssize_t index
        cdef dict item
        if place and self.numbers[place - 1] >= number:
            while place and self.numbers[place - 1] >= number:
                place -= 1
            if self.numbers[place] == number:
                return 0
        item = parse_item(at, length)
        if item is None:
            self.data.setdefault(key, text_of(at, length))
            return 0
        if self.items is None:
            self.items = []
            self.data[ITEMS_KEY] = self.items
        for index in range(len(self.items), place, -1):
            self.numbers[index] = self.numbers[index - 1]
        self.numbers[place] = <unsigned char> number
        self.items.insert(place, item)
        return 0

    cdef int add_user_data(self, tuple steps, value) except -1:
        cdef dict node, child
        cdef Py_ssize_t index
        if self.user_data is None:
            self.user_data = self.new_object(USER_DATA)
        node = self.user_data
        for index in range(len(steps) - 1):
            found = node.get(steps[index])
            if type(found) is not dict:
                found = node[steps[index]] = {}
            child = found
            node = child
        if type(node.get(steps[len(steps) - 1])) is not dict:
            node[steps[len(steps) - 1]] = value
        return 0


cdef dict scan(const unsigned char* at, Py_ssize_t length, unsigned char* scratch, unsigned char* spare):
    # Event data of one query string or line.
    cdef _Hit hit = _Hit.__new__(_Hit)
    cdef const unsigned char* end = at + length
    cdef const unsigned char* name
    cdef const unsigned char* value
    cdef uint32_t hashed
    cdef bint is_escaped
    cdef Py_ssize_t escape, name_length
    hit.data = __Pyx_PyDict_NewPresized(length >> 5 if length < 4096 else 128)
    hit.scratch, hit.spare = scratch, spare
    while at < end:
        name, hashed, is_escaped, escape = at, 0, False, -1
        while at < end and (not sgtm_special[at[0]] or at[0] == c'%' or at[0] == c'+'):
            hashed = hashed * 33 + at[0]
            is_escaped |= sgtm_special[at[0]]
            at += 1
        name_length = at - name
        at += at < end and at[0] == c'='
        value = at
        at = find_either(at, end, c'&', c'%', c'+')
        if at < end and at[0] != c'&':
            escape = at - value
            at = find_either(at, end, c'&', c'&', c'&')
        if name_length:
            add_parameter(hit, name, name_length, hashed, is_escaped, value, at - value, escape)
        at += 1
    if hit.has_steps:
        for step in hit.user_data:
            hit.user_data[step] = lists_in(hit.user_data[step])
    return hit.data


cdef inline int add_parameter(
    _Hit hit, const unsigned char* name, Py_ssize_t name_length, uint32_t hashed, bint is_escaped,
    const unsigned char* value, Py_ssize_t length, Py_ssize_t escape,
) except -1:
    cdef Name* entry
    cdef Py_ssize_t index
    if is_escaped:
        name_length = decode_percent(name, name_length, 0, hit.scratch, True)
        name, hashed = hit.scratch, 0
        for index in range(name_length):
            hashed = hashed * 33 + name[index]
    if name_length <= NAME_LENGTH:
        entry = find(name, name_length, hashed)
        return hit.add(entry.kind, entry.number, <object> entry.key, value, length, escape)
    kind, number, key = classify(name[:name_length])
    return hit.add(kind, number, key, value, length, escape)


# -- a whole hit -------------------------------------------------------------------------------------

cdef list events_of(bytes query, bytes body, unsigned char* scratch, unsigned char* spare):
    cdef const unsigned char* at = body
    cdef const unsigned char* end = at + len(body)
    cdef const unsigned char* feed
    cdef Py_ssize_t length
    cdef dict shared = scan(query, len(query), scratch, spare), line, rest = {}
    cdef list events = []
    cdef int lines = 0
    while at < end and lines < LINES:
        feed = <const unsigned char*> memchr(at, c'\n', end - at)
        if feed == NULL:
            feed = end
        length = feed - at
        length -= length > 0 and at[length - 1] == c'\r'
        if not is_blank(at, length):
            lines += 1
            line = scan(at, length, scratch, spare)
            if EVENT_NAME in line:
                merge(line, shared)
                events.append(line)
            else:
                merge(rest, line)
        at = feed + 1
    if lines == 0:
        rest = shared
    elif not events:
        merge(rest, shared)
    if not events and EVENT_NAME in rest:
        events.append(rest)
    return events


def parse_collect(bytes query not None, bytes body not None):
    cdef unsigned char small[4096]
    cdef Py_ssize_t size = max(len(query), len(body))
    cdef unsigned char* scratch = small
    if 2 * size > <Py_ssize_t> sizeof(small):
        scratch = <unsigned char*> PyMem_Malloc(2 * size)
        if scratch == NULL:
            raise MemoryError
    try:
        return events_of(query, body, scratch, scratch + size)
    finally:
        if scratch != small:
            PyMem_Free(scratch)


def add_request_data(
    list events not None, tuple headers not None, str remote_address not None, received_micros
):
    cdef dict data, sst
    cdef bytes name
    cdef bytes agent = None, brands = None, mobile = None, platform = None
    for name, value in headers:
        if name == b"user-agent":
            agent = value if agent is None else agent
        elif name == b"sec-ch-ua":
            brands = value if brands is None else brands
        elif name == b"sec-ch-ua-mobile":
            mobile = value if mobile is None else mobile
        elif name == b"sec-ch-ua-platform":
            platform = value if platform is None else platform
    user_agent = None if agent is None else agent.decode("utf-8", "replace")
    start_ms = received_micros // 1000
    for data in events:
        found = data.get(SST_KEY)
        if type(found) is not dict:
            found = data[SST_KEY] = {}
        sst = found
        sst.pop("consent", None)
        sst.pop("request_start_time_ms", None)
        sst["consent"] = consent_of(data, sst)
        sst["request_start_time_ms"] = start_ms
        data.pop("ip_override", None)
        data["ip_override"] = remote_address
        if user_agent is not None:
            data.setdefault("user_agent", user_agent)
        hints = hints_of(brands, mobile, platform)
        own = data.get(HINTS)
        if type(own) is not dict:
            if hints:
                data[HINTS] = hints
        elif brands is not None:
            own["brands"] = hints["brands"]


def find_parameter(bytes text not None, bytes name not None):
    cdef const unsigned char* at = text
    cdef const unsigned char* end = at + len(text)
    cdef const unsigned char* wanted = name
    cdef const unsigned char* stop
    cdef Py_ssize_t length = len(name)
    while length and at < end:
        stop = find_either(at, end, c'&', c'\n', c'\r')
        if stop - at >= length and memcmp(at, wanted, length) == 0:
            if stop - at == length:
                return ""
            if at[length] == c'=':
                return decoded_text(at + length + 1, stop - at - length - 1)
        at = stop + 1
    return None
