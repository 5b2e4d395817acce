"""The head of one plain HTTP/1.1 request, and a plain answer. What they promise stands in http.pyi.

Whoever reads this to find a way to smuggle: there is no lenient branch. A byte is allowed by one of the
two tables or by `plain_run`, or the request is not plain; what is not plain is not judged here at all.

PERF: names that browsers and proxies send are one object each, found by their lower-case bytes, so a
header costs one new object, its value; values are looked at eight bytes at a time.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.string cimport memchr, memcmp

from sgtm._fast.plain_http cimport plain_run, read_connection, read_length

WAIT = 0
LEND = 1

cdef enum:
    NAME_BYTES = 64
    SLOTS = 512
    MOST_HEADERS = 1000  # whatever the bounds say: a head makes no more objects than this

# What a name is to us.
cdef enum:
    ORDINARY = 0
    ONCE = 1  # aiohttp refuses a second one
    HOST = 2
    LENGTH = 3
    CONNECTION = 4
    OTHER = 5  # whoever sends it wants something that is not plain

_NAMES = {
    OTHER: """transfer-encoding upgrade expect content-encoding trailer te http2-settings
        sec-websocket-key sec-websocket-key1 sec-websocket-version proxy-connection""",
    HOST: "host",
    LENGTH: "content-length",
    CONNECTION: "connection",
    ONCE: "content-location content-range content-type etag max-forwards server user-agent",
    ORDINARY: """accept accept-charset accept-encoding accept-language access-control-request-headers
        access-control-request-method authorization cache-control cdn-loop cf-connecting-ip cf-ipcountry
        cf-ray cf-visitor cookie dnt forwarded from if-modified-since if-none-match keep-alive origin
        pragma priority purpose range referer save-data sec-ch-ua sec-ch-ua-arch sec-ch-ua-bitness
        sec-ch-ua-full-version sec-ch-ua-full-version-list sec-ch-ua-mobile sec-ch-ua-model
        sec-ch-ua-platform sec-ch-ua-platform-version sec-ch-ua-wow64 sec-fetch-dest sec-fetch-mode
        sec-fetch-site sec-fetch-storage-access sec-fetch-user sec-gpc sec-purpose traceparent tracestate
        upgrade-insecure-requests via x-amzn-trace-id x-client-data x-cloud-trace-context x-forwarded-for
        x-forwarded-host x-forwarded-port x-forwarded-proto x-forwarded-server x-gtm-server-preview
        x-real-ip x-request-id x-requested-with""",
}

cdef list _known = [None] * SLOTS
cdef unsigned char[SLOTS] kinds
cdef unsigned char[256] lower  # of a byte that a name may have (RFC 9110 5.6.2), else 0
cdef unsigned char[256] is_host  # of a byte that a Host may have


cdef inline unsigned int slot_of(const unsigned char* name, Py_ssize_t size) noexcept nogil:
    cdef unsigned int key = <unsigned int>size
    cdef Py_ssize_t index
    for index in range(size):
        key = key * 31 + name[index]
    return (key ^ (key >> 9)) & (SLOTS - 1)


cdef int learn() except -1:
    cdef unsigned int slot
    cdef int code, kind
    for code in range(256):
        kinds[code] = kinds[code + 256] = ORDINARY
        letter = chr(code)
        is_token = code < 128 and (letter.isalnum() or letter in "!#$%&'*+-.^_`|~")
        lower[code] = ord(letter.lower()) if is_token else 0
        is_host[code] = code < 128 and (letter.isalnum() or letter in ".-_:[]")
    for kind, names in _NAMES.items():
        for name in names.encode().split():
            slot = slot_of(name, len(name))
            while _known[slot] is not None:
                slot = (slot + 1) & (SLOTS - 1)
            _known[slot] = name
            kinds[slot] = kind
    return 0


learn()


cdef inline Py_ssize_t find_known(const unsigned char* name, Py_ssize_t size):
    """Slot of a name that we know, or -1."""
    cdef unsigned int slot = slot_of(name, size)
    while True:
        known = _known[slot]
        if known is None:
            return -1
        if PyBytes_GET_SIZE(known) == size and memcmp(PyBytes_AS_STRING(known), name, size) == 0:
            return slot
        slot = (slot + 1) & (SLOTS - 1)


cdef class PlainRequest:
    cdef readonly str method
    cdef readonly str path
    cdef readonly bytes query
    cdef readonly tuple headers
    cdef readonly bytes host
    cdef readonly Py_ssize_t head_bytes
    cdef readonly Py_ssize_t body_bytes
    cdef readonly Py_ssize_t target_bytes
    cdef readonly bint closes


cdef inline int line_end(const unsigned char* at, const unsigned char* end) noexcept nogil:
    """0: CR LF stands here; 1: it may still come; 2: something else does."""
    if at == end:
        return 1
    if at[0] != c"\r":
        return 2
    if end - at == 1:
        return 1
    return 0 if at[1] == c"\n" else 2


cdef inline bint is_host_text(const unsigned char* at, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(size):
        if not is_host[at[index]]:
            return False
    return size > 0


def scan_head(bytes data not None, Py_ssize_t start, tuple bounds not None):
    cdef Py_ssize_t most_target = bounds[0], most_header = bounds[1], most_headers = bounds[2]
    cdef Py_ssize_t most_count = min(bounds[3], MOST_HEADERS)
    if not 0 <= start <= PyBytes_GET_SIZE(data):
        return LEND
    cdef const unsigned char* begin = <const unsigned char*>PyBytes_AS_STRING(data) + start
    cdef const unsigned char* end = begin + (PyBytes_GET_SIZE(data) - start)
    cdef const unsigned char* at = begin
    cdef const unsigned char* stop
    cdef const unsigned char* mark
    cdef unsigned char[NAME_BYTES] name
    cdef Py_ssize_t size, slot, total = 0, count = 0, length = -1
    cdef int ending, kind, connection = -1
    cdef bint is_post
    cdef set once = None
    cdef list headers = []
    cdef PlainRequest request

    # -- method: GET or POST, one space
    size = min(end - at, 5)
    is_post = size > 0 and at[0] == c"P"
    if memcmp(at, b"POST " if is_post else b"GET /", size) != 0:
        return LEND
    if size < 5:
        return WAIT
    at += 5 if is_post else 4
    if at == end:
        return WAIT
    # -- target: a path of our own, visible ASCII without a fragment, one space
    if at[0] != c"/":
        return LEND
    stop = plain_run(at, end, 0x21)
    size = stop - at
    if size > most_target or memchr(at, c"#", size) != NULL:
        return LEND
    if stop == end:
        return WAIT
    request = PlainRequest.__new__(PlainRequest)
    request.target_bytes = size
    mark = <const unsigned char*>memchr(at, c"?", size)
    if mark == NULL:
        mark = stop
    request.path = PyUnicode_DecodeASCII(<const char*>at, mark - at, NULL)
    at = mark + (mark < stop)
    request.query = PyBytes_FromStringAndSize(<const char*>at, stop - at)
    # -- version, exactly
    at = stop
    size = min(end - at, 11)
    if memcmp(at, b" HTTP/1.1\r\n", size) != 0:
        return LEND
    at += size
    if size < 11:
        return WAIT
    # -- headers
    while True:
        ending = line_end(at, end)
        if ending == 0:
            at += 2
            break
        if ending == 1:
            return WAIT
        size = 0
        while at < end and size < NAME_BYTES and lower[at[0]]:
            name[size] = lower[at[0]]
            size += 1
            at += 1
        if at == end:
            return WAIT
        if at[0] != c":" or size == 0:
            return LEND
        at += 1
        slot = find_known(name, size)
        kind = ORDINARY if slot < 0 else kinds[slot]
        if kind == OTHER:
            return LEND
        if at < end and at[0] == c" ":
            at += 1
        stop = plain_run(at, end, 0x20)
        total += size + (stop - at)
        if size + (stop - at) > most_header or total > most_headers or count >= most_count:
            return LEND
        ending = line_end(stop, end)
        if ending == 1:
            return WAIT
        if ending == 2 or (stop > at and (at[0] == c" " or (stop - 1)[0] == c" ")):
            return LEND
        value = PyBytes_FromStringAndSize(<const char*>at, stop - at)
        if kind == HOST:
            if request.host is not None or not is_host_text(at, stop - at):
                return LEND
            request.host = value
        elif kind == LENGTH:
            if length >= 0:
                return LEND
            length = read_length(at, stop - at)
            if length < 0:
                return LEND
        elif kind == CONNECTION:
            if connection >= 0:
                return LEND
            connection = read_connection(at, stop - at)
            if connection < 0:
                return LEND
        elif kind == ONCE:
            if once is None:
                once = set()
            elif slot in once:
                return LEND
            once.add(slot)
        key = _known[slot] if slot >= 0 else PyBytes_FromStringAndSize(<const char*>name, size)
        headers.append((key, value))
        count += 1
        at = stop + 2
    if request.host is None or (length > 0 and not is_post):
        return LEND
    request.method = "POST" if is_post else "GET"
    request.headers = tuple(headers)
    request.head_bytes = at - begin
    request.body_bytes = length if length > 0 else 0
    request.closes = connection == 1
    return request


_FRAMING = frozenset(("connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"))


cdef inline bint is_clean(str text):
    """Whether there is no control character but tabs."""
    cdef Py_UCS4 letter
    for letter in text:
        if (letter < 0x20 and letter != c"\t") or letter == 0x7F:
            return False
    return True


def write_answer(
    str status_line not None, tuple headers not None, str date not None, bytes body, str connection not None
):
    cdef list parts = [status_line]
    cdef str name, value
    for name, value in headers:
        if 4 <= len(name) <= 17 and name.lower() in _FRAMING:
            continue
        if not is_clean(name) or not is_clean(value):
            return None
        parts.append("\r\n")
        parts.append(name)
        parts.append(": ")
        parts.append(value)
    parts.append("\r\nDate: ")
    parts.append(date)
    if body is not None:
        parts.append("\r\nContent-Length: ")
        parts.append(str(len(body)))
    if connection:
        parts.append("\r\nConnection: ")
        parts.append(connection)
    parts.append("\r\n\r\n")
    # lone surrogates are left out, as aiohttp does
    cdef bytes head = "".join(parts).encode("utf-8", "ignore")
    return head + body if body else head
