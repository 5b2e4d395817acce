"""JSON.stringify of the template engine's values, and what JSON.parse gives as values of the engine."""

from json.encoder import encode_basestring

from cpython.dict cimport PyDict_Contains
from msgspec import UNSET

from sgtm._fast.javascript cimport number_text
from sgtm._fast.sandbox_convert cimport number
from sgtm._fast.sandbox_values cimport Callable, Run

from sgtm._fast.sandbox_values import LimitError

__all__ = ["adopted", "stringify"]

cdef object UNDEFINED = UNSET
cdef enum:
    MAX_DEPTH = 100     # of nested values


class _CycleError(Exception):
    pass


def stringify(Run run, value):
    cdef list pieces = []
    cdef str text
    try:
        if not write(run, value, pieces, {}):
            return UNDEFINED
    except _CycleError:
        return UNDEFINED
    run.make_text(sum(map(len, pieces)))
    text = "".join(pieces)
    if text.isascii():
        return text
    return escaped_surrogates(text)


cdef str escaped_surrogates(str text):
    if not any([0xD800 <= ord(letter) < 0xE000 for letter in text]):
        return text
    return "".join([f"\\u{ord(letter):x}" if 0xD800 <= ord(letter) < 0xE000 else letter for letter in text])


cdef bint write(Run run, object value, list pieces, dict above) except -1:
    # False: it has no JSON (undefined, functions).
    cdef str text
    if type(value) is str:
        run.charge((len(<str> value) >> 4) + 1)
        pieces.append(encode_basestring(value))
    elif value is None:
        pieces.append("null")
    elif value is True:
        pieces.append("true")
    elif value is False:
        pieces.append("false")
    elif type(value) is int or type(value) is float:
        text = number_text(value)
        pieces.append("null" if text in ("NaN", "Infinity", "-Infinity") else text)
    elif value is UNDEFINED or isinstance(value, Callable):
        return False
    elif type(value) is dict or type(value) is list:
        if PyDict_Contains(above, id(value)):
            raise _CycleError
        if len(above) >= MAX_DEPTH:
            raise LimitError("depth", "a value is nested too deeply for JSON")
        above[id(value)] = True
        run.charge(len(value) + 1)
        run.charge(0)
        write_record(run, value, pieces, above) if type(value) is dict else write_list(
            run, value, pieces, above)
        del above[id(value)]
    else:
        pieces.append("{}")
    return True


cdef int write_list(Run run, list values, list pieces, dict above) except -1:
    cdef str between = "["
    for value in values:
        pieces.append(between)
        between = ","
        if not write(run, value, pieces, above):
            pieces.append("null")
    pieces.append("]" if values else "[]")
    return 0


cdef int write_record(Run run, dict record, list pieces, dict above) except -1:
    cdef Py_ssize_t start = len(pieces)
    cdef str between = "{"
    cdef list keys = list(record)
    for key in keys:
        if (<str> key).isdigit():
            keys = in_order(keys)
            break
    for key in keys:
        start = len(pieces)
        pieces.append(between)
        pieces.append(encode_basestring(key))
        pieces.append(":")
        if write(run, record[key], pieces, above):
            between = ","
        else:
            del pieces[start:]
    pieces.append("}" if between == "," else "{}")
    return 0


cdef list in_order(list keys):
    # Positions first, as on the host (google-runtime 5.2).
    cdef list places = [key for key in keys if is_place(key)]
    places.sort(key=int)
    return places + [key for key in keys if not is_place(key)]


cdef bint is_place(str key):
    return key.isascii() and key.isdigit() and len(key) < 11 and (key == "0" or key[0] != "0")


def adopted(Run run, value):
    """`value`, just decoded and nobody else's, with numbers as the engine has them."""
    return adopted_inside(value, 0)


cdef object adopted_inside(object value, int depth):
    cdef Py_ssize_t index
    cdef list values
    if type(value) is float:
        return number(value)
    if type(value) is int:
        return value if int(value).bit_length() <= 53 else number(float(value))
    if depth > MAX_DEPTH:
        raise LimitError("depth", "JSON is nested too deeply")
    if type(value) is dict:
        for key, inner in (<dict> value).items():
            if type(inner) is not str:
                (<dict> value)[key] = adopted_inside(inner, depth + 1)
    elif type(value) is list:
        values = value
        for index in range(len(values)):
            values[index] = adopted_inside(values[index], depth + 1)
    return value
