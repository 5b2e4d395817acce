# Scalars of event data as text and as number: what is nothing, what a text says. The same rules as
# `plain_text` of sgtm/identifiers.py, `Event.text` and `to_number` of sgtm/event.py.

from cpython.unicode cimport (
    PyUnicode_1BYTE_DATA,
    PyUnicode_DATA,
    PyUnicode_GET_LENGTH,
    PyUnicode_KIND,
    PyUnicode_READ,
    Py_UNICODE_ISSPACE,
)

from sgtm._fast.javascript cimport number_text

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)

cdef enum:
    WHOLE_DIGITS = 300      # of a number in a text, before its point and behind it; 4 in its exponent


cdef inline bint is_nothing(str text):
    # "", `undefined`, `null` and `(not set)`, with any whitespace around (meta-capi 4.6, T6).
    cdef int kind = PyUnicode_KIND(text)
    cdef void* data = PyUnicode_DATA(text)
    cdef Py_ssize_t start = 0, end = PyUnicode_GET_LENGTH(text)
    while start < end and Py_UNICODE_ISSPACE(PyUnicode_READ(kind, data, start)):
        start += 1
    while end > start and Py_UNICODE_ISSPACE(PyUnicode_READ(kind, data, end - 1)):
        end -= 1
    if end - start == 9:
        return text[start:end] in ("undefined", "(not set)")
    return end == start or end - start == 4 and text[start:end] == "null"


cdef inline object plain_text(value):
    # A text, or a number as JavaScript writes it; None for nothing and for everything else.
    if isinstance(value, str):
        return None if is_nothing(value) else value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and -1e21 < value < 1e21:
        return number_text(value)
    return None


cdef inline object scalar_text(value):
    # The same of any scalar: booleans and numbers without bounds, too.
    if isinstance(value, str):
        return None if is_nothing(value) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, (int, float)) else None


cdef inline Py_ssize_t end_of_digits(const unsigned char* at, Py_ssize_t start, Py_ssize_t size) noexcept:
    while start < size and c'0' <= at[start] <= c'9':
        start += 1
    return start


cdef inline object number_of_text(str text):
    # Python's own reading of a text is wider (`1_000`, digits of other scripts, `inf`): not here.
    cdef const unsigned char* at
    cdef Py_ssize_t size, first, point, end
    text = text.strip()
    size = PyUnicode_GET_LENGTH(text)
    if not size or not PyUnicode_IS_ASCII(text):
        return None
    at = <const unsigned char*>PyUnicode_1BYTE_DATA(text)
    first = at[0] == c'+' or at[0] == c'-'
    point = end = end_of_digits(at, first, size)
    if point == size and first < size <= first + WHOLE_DIGITS:
        return int(text)
    if point < size and at[point] == c'.':
        end = end_of_digits(at, point + 1, size)
        if end - point - 1 > WHOLE_DIGITS or point == first and end == point + 1:
            return None
    elif point == first:
        return None
    if point - first > WHOLE_DIGITS:
        return None
    if end < size and (at[end] | 0x20) == c'e':
        end += 1
        if end < size and (at[end] == c'+' or at[end] == c'-'):
            end += 1
        first = end
        end = end_of_digits(at, first, size)
        if not 0 < end - first <= 4:
            return None
    return float(text) if end == size else None


cdef inline object finite_number(value):
    # A finite number, also out of a text; None for everything else.
    if isinstance(value, str):
        value = number_of_text(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if isinstance(value, int) or value - value == 0 else None
