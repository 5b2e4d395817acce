"""Header pairs of a request. What it promises stands in headers.pyi.

PERF: a hit has some 15 headers, and five times on its way somebody wants one of them.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.string cimport memcmp


cdef inline bytes part(object pairs, Py_ssize_t index, Py_ssize_t side):
    """One half of a pair, if it is one."""
    cdef object pair = <object>PyTuple_GET_ITEM(pairs, index)
    if type(pair) is not tuple or PyTuple_GET_SIZE(pair) != 2:
        raise TypeError("a header is a pair of bytes")
    return <bytes?><object>PyTuple_GET_ITEM(pair, side)


def find_header(tuple headers not None, bytes name not None):
    cdef const char* wanted = PyBytes_AS_STRING(name)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(name)
    cdef bytes key
    for index in range(PyTuple_GET_SIZE(headers)):
        key = part(headers, index, 0)
        if PyBytes_GET_SIZE(key) == size and memcmp(PyBytes_AS_STRING(key), wanted, size) == 0:
            return part(headers, index, 1)
    return None


def header_text(tuple headers not None, bytes name not None):
    cdef object value = find_header(headers, name)
    return None if value is None else (<bytes> value).decode("utf-8", "replace")


def headers_size(tuple headers not None):
    cdef Py_ssize_t total = 0
    for index in range(PyTuple_GET_SIZE(headers)):
        total += PyBytes_GET_SIZE(part(headers, index, 0)) + PyBytes_GET_SIZE(part(headers, index, 1))
    return total
