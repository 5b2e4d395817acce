"""One cookie out of a `Cookie` header. What it promises stands in cookies.pyi.

PERF: a browser sends 1 to 4 KB of cookies with every hit and one or two of them are wanted; splitting
the header into pairs would make an object for each of the others. Here nothing is made but the
value that is found.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp

MAX_VALUES = 50


cdef inline bint is_space(char character) noexcept nogil:
    return character == b" " or character == b"\t"


cdef const char* next_value(
    const char** cursor, const char* end, const char* name, Py_ssize_t name_size, Py_ssize_t* size
) noexcept nogil:
    """Start of the next value under this name (its length in `size`), or NULL; moves `cursor` on."""
    cdef const char* start
    cdef const char* stop
    cdef const char* equals
    cdef const char* name_end
    while cursor[0] < end:
        start = cursor[0]
        stop = <const char*>memchr(start, b";", end - start)
        if stop == NULL:
            stop = end
        cursor[0] = stop + 1
        equals = <const char*>memchr(start, b"=", stop - start)
        if equals == NULL:
            continue
        while start < equals and is_space(start[0]):
            start += 1
        name_end = equals
        while name_end > start and is_space((name_end - 1)[0]):
            name_end -= 1
        if name_end - start != name_size or memcmp(start, name, name_size) != 0:
            continue
        start = equals + 1
        while start < stop and is_space(start[0]):
            start += 1
        while stop > start and is_space((stop - 1)[0]):
            stop -= 1
        size[0] = stop - start
        return start
    return NULL


def find_cookie(bytes header not None, bytes name not None):
    cdef const char* cursor = PyBytes_AS_STRING(header)
    cdef const char* end = cursor + PyBytes_GET_SIZE(header)
    cdef Py_ssize_t size = 0
    cdef Py_ssize_t name_size = PyBytes_GET_SIZE(name)
    if name_size == 0:
        return None
    cdef const char* value = next_value(&cursor, end, PyBytes_AS_STRING(name), name_size, &size)
    return None if value == NULL else PyBytes_FromStringAndSize(value, size)


def find_cookies(bytes header not None, bytes name not None):
    cdef const char* cursor = PyBytes_AS_STRING(header)
    cdef const char* end = cursor + PyBytes_GET_SIZE(header)
    cdef Py_ssize_t size = 0
    cdef Py_ssize_t name_size = PyBytes_GET_SIZE(name)
    cdef const char* value
    cdef list values = []
    while name_size and len(values) < MAX_VALUES:
        value = next_value(&cursor, end, PyBytes_AS_STRING(name), name_size, &size)
        if value == NULL:
            break
        values.append(PyBytes_FromStringAndSize(value, size))
    return values


def first_values(tuple headers not None, tuple names not None):
    cdef list values = [None] * len(names)
    cdef Py_ssize_t index
    for header, text in headers:
        if header == b"cookie":
            for index in range(len(names)):
                if values[index] is None:
                    value = find_cookie(text, names[index])
                    if value is not None:
                        values[index] = (<bytes>value).decode("utf-8", "replace")
    return values
