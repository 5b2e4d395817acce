"""Values that cross the border: from the house into a script, and out of it."""

from msgspec import UNSET

from sgtm._fast.sandbox_convert cimport double_of, number
from sgtm._fast.sandbox_values cimport Run

from sgtm._fast.sandbox_values import LimitError

__all__ = ["engine_value", "house_value", "whole_text"]

cdef object UNDEFINED = UNSET
cdef enum:
    MAX_DEPTH = 100     # of nested values

cdef extern from *:
    """
    /* Whole numbers up to here are exact in a double. */
    #define SGTM_LARGEST 9007199254740992LL
    """
    const long long LARGEST "SGTM_LARGEST"

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1


def engine_value(Run run, value):
    return entered(run, value, 0)


cdef object entered(Run run, object value, int depth):
    cdef list result
    if type(value) is str or type(value) is bool or value is None or value is UNDEFINED:
        return value
    if type(value) is int and is_exact(value):
        return value
    if isinstance(value, (int, float)):
        return number(double_of(run, value))
    if not isinstance(value, (dict, list, tuple)):
        return UNDEFINED
    go_deeper(run, value, depth)
    if isinstance(value, dict):
        return entered_record(run, value, depth + 1)
    result = []
    for member in value:
        result.append(entered(run, member, depth + 1))
    return result


cdef bint is_exact(object value) except -1:
    cdef int overflow = 0
    cdef long long whole_number = PyLong_AsLongLongAndOverflow(value, &overflow)
    return not overflow and -LARGEST < whole_number < LARGEST


cdef dict entered_record(Run run, dict record, int depth):
    # PERF: most members are texts: the whole is copied at once, and only the others are looked at
    cdef dict result = record.copy()
    for key, member in record.items():
        if type(key) is not str:
            return entered_with_texts(run, record, depth)
        if type(member) is not str:
            result[key] = entered(run, member, depth)
    return result


cdef dict entered_with_texts(Run run, dict record, int depth):
    # As above, where keys are no texts.
    cdef dict result = {}
    for key, member in record.items():
        result[str(key)] = entered(run, member, depth)
    return result


def house_value(Run run, value):
    return left(run, value, 0)


cdef object left(Run run, object value, int depth):
    cdef dict record
    if type(value) is str:
        return whole(value)
    if value is None or isinstance(value, (int, float)):
        return value
    if type(value) is dict:
        go_deeper(run, value, depth)
        record = {}
        for key, member in (<dict> value).items():
            member = left(run, member, depth + 1)
            if member is not UNDEFINED:
                record[whole(key)] = member
        return record
    if type(value) is list:
        go_deeper(run, value, depth)
        return [null_for_undefined(left(run, member, depth + 1)) for member in <list> value]
    return UNDEFINED


cdef object null_for_undefined(object value):
    return None if value is UNDEFINED else value


cdef int go_deeper(Run run, object value, int depth) except -1:
    if depth > MAX_DEPTH:
        raise LimitError("depth", "a value is nested too deeply")
    return run.make_elements(len(value))


cdef str whole(str text):
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def whole_text(str text):
    return whole(text)
