"""APIs that read the event and its request, and set cookies, compiled: templates call them on every event.

`run.host` is a `templates.host.Host`; what the house has for an API comes in by its constructor. `demand` is
`templates.apis.guard.demand`, which raises where a permission is missing: what it has allowed once is
remembered with the permissions, since the same names and addresses come with every event.
"""

from binascii import b2a_base64

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from msgspec import UNSET

from sgtm._fast.cookies import MAX_VALUES, find_cookies
from sgtm._fast.sandbox_border cimport entered
from sgtm._fast.sandbox_convert cimport text_of, truth
from sgtm._fast.sandbox_values cimport Callable, Run

from sgtm._fast.sandbox_values import LimitError

__all__ = [
    "EncodeUri", "GetAllEventData", "GetCookieValues", "GetEventData", "GetRequestHeader", "GetTimestamp",
    "Guarded", "Memory", "ParseUrl", "SetCookie", "ToBase64",
]

cdef extern from "Python.h":
    void* PyUnicode_DATA(object) noexcept

cdef extern from *:
    """
    /* 1: encodeURIComponent leaves the byte as it is, 2: only encodeURI does. */
    static const unsigned char sgtm_uri_safe[256] = {
        ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
        ['-'] = 1, ['_'] = 1, ['.'] = 1, ['!'] = 1, ['~'] = 1, ['*'] = 1, ['\\''] = 1, ['('] = 1, [')'] = 1,
        [';'] = 2, ['/'] = 2, ['?'] = 2, [':'] = 2, ['@'] = 2, ['&'] = 2, ['='] = 2, ['+'] = 2, ['$'] = 2,
        [','] = 2, ['#'] = 2,
    };
    static const char sgtm_digits[] = "0123456789ABCDEF";
    static int sgtm_is_uri_safe(const unsigned char *at, Py_ssize_t count, int safe) {
        for (; count; count--, at++)
            if (!sgtm_uri_safe[*at] || sgtm_uri_safe[*at] > safe)
                return 0;
        return 1;
    }
    static Py_ssize_t sgtm_uri_encode(const unsigned char *at, Py_ssize_t count, int safe, char *out) {
        char *begin = out;
        for (; count; count--, at++) {
            if (sgtm_uri_safe[*at] && sgtm_uri_safe[*at] <= safe)
                *out++ = (char) *at;
            else {
                *out++ = '%';
                *out++ = sgtm_digits[*at >> 4];
                *out++ = sgtm_digits[*at & 15];
            }
        }
        return out - begin;
    }
    """
    bint sgtm_is_uri_safe(const unsigned char*, Py_ssize_t, int) noexcept
    Py_ssize_t sgtm_uri_encode(const unsigned char*, Py_ssize_t, int, char*) noexcept

cdef object UNDEFINED = UNSET
cdef enum:
    MAX_KEPT = 128          # of each kind
    MAX_KEPT_SIZE = 400     # characters of one
    MAX_PATH = 1_000        # characters of a key path; what a longer one names is not there
    MAX_COOKIES = 50        # that an answer sets
    MAX_COOKIE = 4_000      # characters of a cookie with its name; whether a longer one fits is not said here


cdef class Memory:
    """What was decided for names and addresses that come again, of each kind the last few. What is
    remembered depends on nothing but its key."""

    def __cinit__(self):
        self.kinds = {}

    cdef object recall(self, str kind, object key):
        kept = self.kinds.get(kind)
        return None if kept is None else (<dict> kept).get(key)

    cdef int keep(self, str kind, object key, object value, Py_ssize_t size) except -1:
        cdef dict kept
        if size > MAX_KEPT_SIZE:
            return 0
        kept = self.kinds.setdefault(kind, {})
        if len(kept) >= MAX_KEPT:
            kept.clear()
        kept[key] = value
        return 0


cdef object first(list args):
    return args[0] if args else UNDEFINED


cdef object argument(list args, Py_ssize_t index):
    return args[index] if index < len(args) else UNDEFINED


cdef class Guarded(Callable):
    """An API that needs a permission."""

    def __init__(self, name, demand, cost=1):
        self.name, self.demand, self.cost = name, demand, cost

    cdef int begin(self, Run run, list args) except -1:
        # as `Native`
        cdef long long size = self.cost + len(args)
        for value in args:
            if type(value) is str:
                size += len(<str> value) >> 6
        return run.charge(size)

    cdef int ask(self, Run run, str permission, str part, str text, str shown) except -1:
        # `part` comes before `text` where the permission has parts
        cdef Memory memory = run.host.permissions.memory
        cdef str kind = permission if part is None else part
        if memory.recall(kind, text) is not None:
            return 0
        asked = (text,) if part is None else (part, text)
        self.demand(run, self.name, permission, *asked, shown=shown + text)
        return memory.keep(kind, text, True, len(text))


# -- the event ---------------------------------------------------------------------------------------------


cdef class GetAllEventData(Guarded):
    """`getAllEventData()`: a copy of the event's data, which the template may change."""

    cdef object call(self, Run run, list args):
        cdef Memory memory = run.host.permissions.memory
        self.begin(run, args)
        if memory.recall("event", "") is None:
            self.demand(run, self.name, "read_event_data", shown="all event data")
            memory.keep("event", "", True, 0)
        event = run.host.event
        return UNDEFINED if event is None else entered(run, event.data, 0)


cdef class GetEventData(Guarded):
    """`getEventData(path)`: a copy of what stands at a key path; `read(data, path)` finds it."""

    cdef object read

    def __init__(self, name, demand, read):
        super().__init__(name, demand)
        self.read = read

    cdef object call(self, Run run, list args):
        cdef str path
        self.begin(run, args)
        path = text_of(run, first(args))
        self.ask(run, "read_event_data", None, path, "")
        event = run.host.event
        run.charge(len(path) >> 2)
        if event is None:
            return UNDEFINED
        data = event.data
        if type(data) is dict and "." not in path and len(path) <= MAX_PATH:
            return entered(run, (<dict> data).get(path, UNDEFINED), 0)
        return entered(run, self.read(data, path[:MAX_PATH]), 0)


# -- the request -------------------------------------------------------------------------------------------


cdef class GetTimestamp(Callable):
    """`getTimestampMillis()`: when the request came."""

    def __init__(self, name):
        self.name = name

    cdef object call(self, Run run, list args):
        run.charge(1 + len(args))
        return <long long> run.host.request.received_micros // 1000


cdef class GetRequestHeader(Guarded):
    """`getRequestHeader(name)`; a request that is `none` has no headers."""

    cdef object none

    def __init__(self, name, demand, none):
        super().__init__(name, demand)
        self.none = none

    cdef object call(self, Run run, list args):
        cdef str name
        cdef bytes key
        cdef tuple headers
        cdef list values
        cdef Py_ssize_t length = 0
        self.begin(run, args)
        name = text_of(run, first(args)).lower()
        self.ask(run, "read_request", "header", name, "header ")
        request = run.host.request
        if request is self.none:
            return UNDEFINED
        headers = request.headers
        run.charge(len(headers) >> 2)
        key = name.encode("utf-8", "replace")
        values = [(<bytes> value).decode("utf-8", "replace") for header, value in headers if header == key]
        for value in values:
            length += len(<str> value)
        run.make_text(length)
        if len(values) == 1:
            return values[0]
        return ", ".join(values) if values else UNDEFINED


cdef class GetCookieValues(Guarded):
    """`getCookieValues(name, noDecode)`; `decoded(value)` undoes escapes."""

    cdef object decoded

    def __init__(self, name, demand, decoded):
        super().__init__(name, demand)
        self.decoded = decoded

    cdef object call(self, Run run, list args):
        cdef str name, text
        cdef list headers, values = []
        cdef Py_ssize_t length = 0
        cdef bint is_plain
        self.begin(run, args)
        name = text_of(run, first(args))
        self.ask(run, "get_cookies", None, name, "cookie ")
        headers = [value for header, value in <tuple> run.host.request.headers if header == b"cookie"]
        for header in headers:
            length += len(<bytes> header)
        run.charge(length >> 5)
        key = name.encode("utf-8", "replace")
        for header in headers:
            if len(values) < MAX_VALUES:
                for value in <list> find_cookies(header, key):
                    values.append((<bytes> value).decode("utf-8", "replace"))
        del values[MAX_VALUES:]
        length = 0
        for text in values:
            length += len(text)
        run.make_text(length)
        run.make_elements(len(values))
        is_plain = truth(argument(args, 1))
        return [text if is_plain or "%" not in <str> text else self.decoded(text) for text in values]


# -- texts ---------------------------------------------------------------------------------------------------


cdef str encoded_for(str text, int safe, str errors):
    # Percent-encoded UTF-8; `safe` is 1 for a component, 2 for a URI. Raises UnicodeEncodeError.
    cdef bytes encoded
    cdef char* out
    cdef Py_ssize_t length
    if text.isascii() and sgtm_is_uri_safe(<const unsigned char*> PyUnicode_DATA(text), len(text), safe):
        return text
    encoded = text.encode("utf-8", errors)
    out = <char*> PyMem_Malloc(3 * PyBytes_GET_SIZE(encoded) + 1)
    if out == NULL:
        raise MemoryError
    try:
        length = sgtm_uri_encode(
            <const unsigned char*> PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded), safe, out)
        return out[:length].decode("ascii")
    finally:
        PyMem_Free(out)


cdef class EncodeUri(Callable):
    """`encodeUri(text)`, or `encodeUriComponent(text)`; undefined for half a surrogate pair."""

    cdef int safe

    def __init__(self, name, is_component):
        self.name, self.safe = name, 1 if is_component else 2

    cdef object call(self, Run run, list args):
        cdef str text = text_of(run, first(args))
        run.charge(1 + len(args) + (len(text) >> 6))
        run.make_text(3 * len(text))
        try:
            return encoded_for(text, self.safe, "strict")
        except UnicodeEncodeError:
            return UNDEFINED


cdef class ToBase64(Callable):
    """`toBase64(text, {urlEncoding})`."""

    def __init__(self, name):
        self.name = name

    cdef object call(self, Run run, list args):
        cdef str text = text_of(run, first(args)), encoded
        run.charge(1 + len(args) + (len(text) >> 6))
        run.make_text(2 * len(text))
        encoded = b2a_base64(text.encode("utf-8", "replace"), newline=False).decode("ascii")
        options = argument(args, 1)
        if type(options) is dict and (<dict> options).get("urlEncoding") is True:
            return encoded.replace("+", "-").replace("/", "_").rstrip("=")
        return encoded


cdef class ParseUrl(Callable):
    """`parseUrl(text)`: a copy of what `parsed(text)` gives."""

    cdef object parsed

    def __init__(self, name, parsed):
        self.name, self.parsed = name, parsed

    cdef object call(self, Run run, list args):
        text = first(args)
        run.charge(1 + len(args))
        if type(text) is not str:
            return UNDEFINED
        run.charge(len(<str> text) >> 6)
        run.make_text(2 * len(<str> text))
        parts = self.parsed(text)
        return UNDEFINED if parts is None else entered(run, parts, 0)


# -- cookies ---------------------------------------------------------------------------------------------


cdef class SetCookie(Guarded):
    """`setCookie(name, value, options, noEncode)`.

    `slow(run, args)` does it without a memory, and charges like this one once it has begun. What it allows
    depends on name, host and options; if these are plain values and name no time, what the cookie has besides
    its value is kept, and the next time `cookie` makes one of it."""

    cdef object slow, cookie, members

    def __init__(self, name, slow, cookie, cost):
        super().__init__(name, None, cost)
        self.slow, self.cookie, self.members = slow, cookie, cookie.__struct_fields__[2:]

    cdef object call(self, Run run, list args):
        cdef Memory memory = run.host.permissions.memory
        cdef str name, value
        self.begin(run, args)
        host = run.host
        response = host.response
        key = None
        if not truth(argument(args, 3)) and not response.is_returned:
            key = self.key_of(host, args)
        found = None if key is None else memory.recall("set_cookies", key)
        if found is None:
            count = len(response.cookies)
            self.slow(run, args)
            if key is not None and len(response.cookies) > count:
                cookie = response.cookies[count]
                kept = tuple([getattr(cookie, one) for one in self.members])
                memory.keep("set_cookies", key, kept, len(<str> args[0]) + len(<str> host.request.host))
            return UNDEFINED
        name, value = args[0], text_of(run, argument(args, 1))
        run.make_elements(2 * len(<dict> args[2]))
        run.make_text(3 * len(value))
        value = encoded_for(value, 1, "replace")
        if len(name) + len(value) > MAX_COOKIE:
            return self.slow(run, args)
        if len(response.cookies) >= MAX_COOKIES:
            raise LimitError("response_cookies", f"an answer sets {MAX_COOKIES} cookies at most")
        response.cookies.append(self.cookie(name, value, *found))
        return UNDEFINED

    cdef tuple key_of(self, object host, list args):
        # None: the options are not plain, or the cookie's end is a moment.
        cdef list parts
        name, options = first(args), argument(args, 2)
        if type(name) is not str or type(options) is not dict or len(<dict> options) > 10:
            return None
        parts = [name, host.request.host]
        for option, member in (<dict> options).items():
            if (<str> option).lower() == "expires" or len(<str> option) > 40:
                return None
            if type(member) is str:
                if len(<str> member) > 40:
                    return None
            elif type(member) is not int and type(member) is not bool:
                return None
            parts.append(option)
            parts.append(member)
            if type(member) is bool:
                parts.append(None)
        return tuple(parts)
