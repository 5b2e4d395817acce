"""Where a row of characters stands that are each out of a class. What it promises stands in patterns.pyi.

PERF: `^[A-Fa-f0-9]{64}$` is asked for every hash that a template may already have; RE2 takes a microsecond
for the answer that the length gives.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

cdef extern from "Python.h":
    void* PyUnicode_DATA(object) noexcept


def find_row(str text not None, bytes classes not None, bint is_start, bint is_end, Py_ssize_t start):
    if not text.isascii() or start < 0:
        return -1
    return sgtm_row_at(
        <const unsigned char*> PyUnicode_DATA(text), len(text),
        <const unsigned char*> PyBytes_AS_STRING(classes), PyBytes_GET_SIZE(classes) >> 4,
        is_start, is_end, start,
    )
