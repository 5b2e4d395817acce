"""Requests to vendors and their answers, where both are plain HTTP/1.1. What they promise stands in
vendor_http.pyi.

As at the edge there is no lenient branch: what is not plain is not judged here at all, it is left to the
request writer or to the answer reader. So nothing can be read or written here that they would not.

PERF: a text that is ASCII is copied as it stands in memory, a run of bytes is looked at eight at a time.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_DecodeASCII, PyUnicode_GET_LENGTH
from libc.string cimport memchr, memcmp, memcpy

from sgtm._fast.plain_http cimport plain_run, read_connection, read_length

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)

cdef enum:
    NAME_BYTES = 64
    MOST_HEADERS = 100  # both ways; an answer with more is refused by its reader
    MOST_HEAD_BYTES = 32768
    MOST_BODY_BYTES = 1048576  # of an answer: what is beyond is read and thrown away by its reader
    LENGTH_DIGITS = 20

# What a name of a header is to us.
cdef enum:
    ORDINARY = 0
    LENGTH = 1
    CONNECTION = 2
    ACCEPT = 3
    OTHER = 4  # of an answer: it is not plain; of a request: it is the sender's own

cdef unsigned char[256] lower  # of a byte that a name may have (RFC 9110 5.6.2), else 0


cdef int learn() except -1:
    cdef int code
    for code in range(256):
        letter = chr(code)
        is_token = code < 128 and (letter.isalnum() or letter in "!#$%&'*+-.^_`|~")
        lower[code] = ord(letter.lower()) if is_token else 0
    return 0


learn()


cdef inline Py_ssize_t lower_name(
    const unsigned char* at, const unsigned char* end, unsigned char* name
) noexcept nogil:
    """Length of the token that stands here, which is written to `name` in lower case; NAME_BYTES at most."""
    cdef Py_ssize_t size = 0
    while at < end and size < NAME_BYTES and lower[at[0]]:
        name[size] = lower[at[0]]
        size += 1
        at += 1
    return size


cdef inline bint is_name(
    const unsigned char* name, Py_ssize_t size, const char* wanted, Py_ssize_t length
) noexcept nogil:
    return size == length and memcmp(name, wanted, size) == 0


# -- answers ----------------------------------------------------------------------------------------


cdef inline int kind_in_answer(const unsigned char* name, Py_ssize_t size) noexcept nogil:
    if is_name(name, size, b"content-length", 14):
        return LENGTH
    if is_name(name, size, b"connection", 10):
        return CONNECTION
    if (
        is_name(name, size, b"transfer-encoding", 17)
        or is_name(name, size, b"upgrade", 7)
        or is_name(name, size, b"trailer", 7)
        or is_name(name, size, b"te", 2)
        or is_name(name, size, b"proxy-connection", 16)
    ):
        return OTHER
    return ORDINARY


cdef inline bint ends_line(const unsigned char* at, const unsigned char* end) noexcept nogil:
    return end - at >= 2 and at[0] == c"\r" and at[1] == c"\n"


cdef inline int read_status(const unsigned char* at, Py_ssize_t size) noexcept nogil:
    """Status of a line that begins with `HTTP/1.1 200 `, 200 to 599; 0: something else."""
    if size < 13 or memcmp(at, b"HTTP/1.1 ", 9) != 0 or at[12] != c" ":
        return 0
    if not (c"2" <= at[9] <= c"5" and c"0" <= at[10] <= c"9" and c"0" <= at[11] <= c"9"):
        return 0
    return (at[9] - c"0") * 100 + (at[10] - c"0") * 10 + (at[11] - c"0")


def read_answer(bytes data not None):
    cdef const unsigned char* begin = <const unsigned char*>PyBytes_AS_STRING(data)
    cdef const unsigned char* end = begin + PyBytes_GET_SIZE(data)
    cdef const unsigned char* at = begin
    cdef const unsigned char* stop
    cdef unsigned char[NAME_BYTES] name
    cdef Py_ssize_t size, length = -1, count = 0
    cdef int kind, connection = -1
    cdef int status = read_status(at, end - at)
    cdef list headers = []
    if status == 0 or status == 304:
        return None
    at = plain_run(at + 13, end, 0x20)
    while True:
        if not ends_line(at, end):
            return None
        at += 2
        if ends_line(at, end):
            at += 2
            break
        size = lower_name(at, end, name)
        at += size
        if size == 0 or at == end or at[0] != c":" or count >= MOST_HEADERS:
            return None
        at += 1
        if at < end and at[0] == c" ":
            at += 1
        stop = plain_run(at, end, 0x20)
        if stop > at and (at[0] == c" " or (stop - 1)[0] == c" "):
            return None
        kind = kind_in_answer(name, size)
        if kind == OTHER:
            return None
        if kind == LENGTH:
            if length >= 0:
                return None
            length = read_length(at, stop - at)
            if length < 0:
                return None
        elif kind == CONNECTION:
            if connection >= 0:
                return None
            connection = read_connection(at, stop - at)
            if connection < 0:
                return None
        headers.append((
            PyUnicode_DecodeASCII(<const char*>name, size, NULL),
            PyUnicode_DecodeASCII(<const char*>at, stop - at, NULL),
        ))
        count += 1
        at = stop
    if status == 204 and length < 0:
        length = 0
    if length != end - at or length > MOST_BODY_BYTES or at - begin > MOST_HEAD_BYTES:
        return None
    if status == 204 and length > 0:
        return None
    return status, tuple(headers), PyBytes_FromStringAndSize(<const char*>at, length), connection != 1


# -- requests ---------------------------------------------------------------------------------------


cdef inline int kind_in_request(const unsigned char* name, Py_ssize_t size) noexcept nogil:
    if is_name(name, size, b"accept", 6):
        return ACCEPT
    if (
        is_name(name, size, b"host", 4)
        or is_name(name, size, b"connection", 10)
        or is_name(name, size, b"content-length", 14)
        or is_name(name, size, b"transfer-encoding", 17)
        or is_name(name, size, b"te", 2)
        or is_name(name, size, b"trailer", 7)
        or is_name(name, size, b"upgrade", 7)
        or is_name(name, size, b"expect", 6)
        or is_name(name, size, b"keep-alive", 10)
        or is_name(name, size, b"forwarded", 9)
        or (size >= 6 and memcmp(name, b"proxy-", 6) == 0)
    ):
        return OTHER
    return ORDINARY


cdef inline const unsigned char* ascii_of(object text) noexcept:
    """The bytes of a text that is ASCII, which live as long as it does; NULL for any other object."""
    if type(text) is not str or not PyUnicode_IS_COMPACT_ASCII(text):
        return NULL
    return <const unsigned char*>PyUnicode_DATA(text)


def authority_size(str url not None):
    cdef const unsigned char* begin = ascii_of(url)
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(url)
    cdef const unsigned char* end = begin + size
    cdef const unsigned char* at
    if begin == NULL or plain_run(begin, end, 0x21) != end or memchr(begin, c"#", size) != NULL:
        return 0
    at = <const unsigned char*>memchr(begin, c"/", size)
    if at == NULL or end - at < 3 or at[1] != c"/" or memchr(begin, c"?", at - begin) != NULL:
        return 0
    at += 2
    while at < end and at[0] != c"/" and at[0] != c"?":
        at += 1
    return at - begin if at < end and at[0] == c"/" else 0


cdef inline char* put(char* at, const void* source, Py_ssize_t size) noexcept nogil:
    memcpy(at, source, size)
    return at + size


cdef inline Py_ssize_t write_digits(Py_ssize_t number, char* digits) noexcept nogil:
    """Write a number to the end of LENGTH_DIGITS bytes; how many digits it has."""
    cdef Py_ssize_t size = 0
    while True:
        size += 1
        digits[LENGTH_DIGITS - size] = <char>(c"0" + number % 10)
        number //= 10
        if number == 0:
            return size


cdef inline Py_ssize_t header_size(object pair, bint* accepts):
    """Bytes of a header with its colon, space and line end; -1: it is not plain."""
    cdef const unsigned char* name
    cdef const unsigned char* value
    cdef unsigned char[NAME_BYTES] lowered
    cdef Py_ssize_t size, length
    cdef int kind
    if type(pair) is not tuple or PyTuple_GET_SIZE(pair) != 2:
        return -1
    name = ascii_of(<object>PyTuple_GET_ITEM(pair, 0))
    value = ascii_of(<object>PyTuple_GET_ITEM(pair, 1))
    if name == NULL or value == NULL:
        return -1
    size = PyUnicode_GET_LENGTH(<object>PyTuple_GET_ITEM(pair, 0))
    length = PyUnicode_GET_LENGTH(<object>PyTuple_GET_ITEM(pair, 1))
    if size == 0 or lower_name(name, name + size, lowered) != size:
        return -1
    if plain_run(value, value + length, 0x20) != value + length:
        return -1
    kind = kind_in_request(lowered, size)
    if kind == OTHER:
        return -1
    if kind == ACCEPT:
        accepts[0] = True
    return size + length + 4


cdef inline char* put_text(char* at, object text) noexcept:
    return put(at, PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))


def write_request(
    str method not None, str url not None, Py_ssize_t target, str host not None, tuple headers not None,
    bytes body not None,
):
    cdef const unsigned char* text = ascii_of(url)
    cdef Py_ssize_t url_size = PyUnicode_GET_LENGTH(url)
    cdef Py_ssize_t body_size = PyBytes_GET_SIZE(body)
    cdef Py_ssize_t size, digits_size, total, index, count = PyTuple_GET_SIZE(headers)
    cdef bint accepts = False
    cdef bint is_post = method == "POST"
    cdef bint says_length = is_post or body_size > 0
    cdef char[LENGTH_DIGITS] digits
    cdef char* at
    cdef object pair
    cdef bytes written
    if not (is_post or method == "GET") or count > MOST_HEADERS or ascii_of(host) == NULL:
        return None
    if text == NULL or not 0 <= target < url_size or text[target] != c"/":
        return None
    if plain_run(text + target, text + url_size, 0x21) != text + url_size:
        return None
    digits_size = write_digits(body_size, digits)
    # "POST " or "GET ", target, " HTTP/1.1\r\nHost: ", host, "\r\n"
    total = 4 + is_post + (url_size - target) + 17 + PyUnicode_GET_LENGTH(host) + 2
    for index in range(count):
        size = header_size(<object>PyTuple_GET_ITEM(headers, index), &accepts)
        if size < 0:
            return None
        total += size
    total += 2 + body_size
    if not accepts:
        total += 13
    if says_length:
        total += 18 + digits_size
    written = PyBytes_FromStringAndSize(NULL, total)
    at = PyBytes_AS_STRING(written)
    at = put(at, b"POST ", 5) if is_post else put(at, b"GET ", 4)
    at = put(at, text + target, url_size - target)
    at = put(at, b" HTTP/1.1\r\nHost: ", 17)
    at = put_text(at, host)
    at = put(at, b"\r\n", 2)
    for index in range(count):
        pair = <object>PyTuple_GET_ITEM(headers, index)
        at = put_text(at, <object>PyTuple_GET_ITEM(pair, 0))
        at = put(at, b": ", 2)
        at = put_text(at, <object>PyTuple_GET_ITEM(pair, 1))
        at = put(at, b"\r\n", 2)
    if not accepts:
        at = put(at, b"Accept: */*\r\n", 13)
    if says_length:
        at = put(at, b"Content-Length: ", 16)
        at = put(at, digits + LENGTH_DIGITS - digits_size, digits_size)
        at = put(at, b"\r\n", 2)
    at = put(at, b"\r\n", 2)
    put(at, PyBytes_AS_STRING(body), body_size)
    return written
