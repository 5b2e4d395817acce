"""What JavaScript makes of values: numbers, texts, equality, operators, members.

A member is looked up by `member` alone, which never reaches a Python attribute. Everything that takes more
than a moment charges the run before it works.
"""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_FromLongLong
from cpython.object cimport PyObject
from libc.math cimport INFINITY, NAN, floor, fmod, isfinite, isnan, signbit, trunc
from msgspec import UNSET

from sgtm._fast.javascript cimport number_text
from sgtm._fast.sandbox_values cimport Callable, HostObject, Opaque, Promise, Run, sgtm_same_text
from sgtm._fast.sandbox_whole cimport of_whole

from sgtm._fast.sandbox_values import LimitError, ScriptError

__all__ = ["copy_value", "get_member", "is_same", "is_true", "to_number", "to_text", "type_name"]

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1

cdef object UNDEFINED = UNSET
cdef enum:
    MAX_DEPTH = 100         # of nested values in conversions and copies
    NUMBER_LENGTH = 1_000   # a longer text is no number: reading digits takes more than linear time
cdef str SPACE = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)


# -- numbers ---------------------------------------------------------------------------------------


cdef object number(double value):
    # Whole numbers are ints, so that what leaves the sandbox is written `2`, not `2.0`; but -0 is not.
    if value == trunc(value) and -9007199254740992.0 <= value <= 9007199254740992.0:
        if value != 0 or not signbit(value):
            return PyLong_FromLongLong(<long long> value)
    return value


cdef double double_of(Run run, object value) except? -1.25:
    # Number(value)
    cdef int overflow = 0
    cdef long long whole
    if type(value) is int:
        whole = PyLong_AsLongLongAndOverflow(value, &overflow)
        if not overflow:
            return <double> whole
        try:
            return float(value)
        except OverflowError:
            return INFINITY if overflow > 0 else -INFINITY
    if type(value) is float:
        return PyFloat_AS_DOUBLE(value)
    if value is True:
        return 1
    if value is False or value is None:
        return 0
    if type(value) is list:
        value = text_of(run, value)
    return text_number(value) if type(value) is str else NAN


cdef double text_number(str text) except? -1.25:
    cdef Py_UCS4 letter
    cdef int base
    text = text.strip(SPACE)
    if not text:
        return 0
    if len(text) > NUMBER_LENGTH or not text.isascii() or "_" in text:
        return NAN
    if text in ("Infinity", "+Infinity"):
        return INFINITY
    if text == "-Infinity":
        return -INFINITY
    base = 0
    if len(text) > 2 and text[0] == "0":
        letter = text[1]
        base = 16 if letter in "xX" else 8 if letter in "oO" else 2 if letter in "bB" else 0
    try:
        if base:
            return float(int(text[2:], base)) if text[2:].isalnum() else NAN
        for letter in text:
            if not (c'0' <= letter <= c'9' or letter in ".eE+-"):
                return NAN
        return float(text)
    except ValueError:
        return NAN
    except OverflowError:
        return INFINITY


cdef long long int_of(Run run, object value, long long missing) except? -7777:
    # ToIntegerOrInfinity, cut to what fits; `missing` for undefined.
    cdef double result
    cdef int overflow = 0
    if value is UNDEFINED:
        return missing
    if type(value) is int:
        return PyLong_AsLongLongAndOverflow(value, &overflow) if int(value).bit_length() < 60 else (
            (1 << 53) if value > 0 else -(1 << 53))
    result = double_of(run, value)
    if isnan(result):
        return 0
    return <long long> max(-9007199254740992.0, min(9007199254740992.0, trunc(result)))


cdef unsigned int uint32_of(Run run, object value) except? 7777:
    cdef double result
    cdef int overflow = 0
    cdef long long whole
    if type(value) is int:
        whole = PyLong_AsLongLongAndOverflow(value, &overflow)
        if -9007199254740992 <= whole <= 9007199254740992 and not overflow:
            return <unsigned int> whole
    result = double_of(run, value)
    if not isfinite(result):
        return 0
    result = fmod(trunc(result), 4294967296.0)
    return <unsigned int> <long long> (result + 4294967296.0 if result < 0 else result)


# -- truth, text, equality -------------------------------------------------------------------------


cdef bint truth(object value) noexcept:
    if value is True:
        return True
    if value is False or value is None or value is UNDEFINED:
        return False
    if type(value) is str:
        return len(<str> value) > 0
    if type(value) is int:
        return value != 0
    if type(value) is float:
        return PyFloat_AS_DOUBLE(value) != 0 and not isnan(PyFloat_AS_DOUBLE(value))
    return True


cdef str text_of(Run run, object value):
    # String(value)
    if type(value) is str:
        return <str> value
    if type(value) is int or type(value) is float:
        return number_text(value)
    return nested_text(run, value, [])


cdef str nested_text(Run run, object value, list above):
    if value is UNDEFINED:
        return "undefined"
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if type(value) is list:
        return joined(run, value, ",", above)
    if isinstance(value, Callable):
        return (<Callable> value).name or ""
    if isinstance(value, Opaque):
        return (<Opaque> value).text
    return "[object Promise]" if isinstance(value, Promise) else "[object Object]"


cdef str joined(Run run, list values, str between, list above):
    cdef list parts = []
    cdef long long length = 0
    cdef str text
    for other in above:
        if other is values:
            return ""
    if len(above) >= MAX_DEPTH:
        raise LimitError("depth", "a list is nested too deeply")
    run.charge(len(values))
    above.append(values)
    for value in values:
        if value is None or value is UNDEFINED:
            text = ""
        elif type(value) is str:
            text = value
        elif type(value) is int or type(value) is float:
            text = number_text(value)
        else:
            text = nested_text(run, value, above)
        length += len(text) + len(between)
        if length > run.longest_text + len(between):
            run.make_text(length)
        parts.append(text)
    above.pop()
    run.make_text(length)
    return between.join(parts)


cdef object key_of(Run run, object value):
    return value if type(value) is str else text_of(run, value)


cdef bint same(object left, object right) except -1:
    # ===
    if left is right:
        return type(left) is not float or PyFloat_AS_DOUBLE(left) == PyFloat_AS_DOUBLE(right)
    if type(left) is str:
        return type(right) is str and sgtm_same_text(left, right)
    if (type(left) is int or type(left) is float) and (type(right) is int or type(right) is float):
        return left == right
    return False


cdef inline bint is_number(object value):
    return type(value) is int or type(value) is float or type(value) is bool


cdef bint loosely_same(Run run, object left, object right) except -1:
    # ==
    if left is None or left is UNDEFINED:
        return right is None or right is UNDEFINED
    if right is None or right is UNDEFINED:
        return False
    if type(left) is type(right):
        return same(left, right)
    left_is_plain = type(left) is str or is_number(left)
    right_is_plain = type(right) is str or is_number(right)
    if not left_is_plain and not right_is_plain:
        return left is right
    if not left_is_plain:
        return loosely_same(run, text_of(run, left), right)
    if not right_is_plain:
        return loosely_same(run, left, text_of(run, right))
    return double_of(run, left) == double_of(run, right)


cdef str type_of(object value):
    # typeof
    if type(value) is str:
        return "string"
    if type(value) is int or type(value) is float:
        return "number"
    if value is UNDEFINED:
        return "undefined"
    if type(value) is bool:
        return "boolean"
    return "function" if isinstance(value, Callable) else "object"


cdef object plus(Run run, object left, object right):
    # PERF: two texts or two small whole numbers, nearly all there is, need no conversion
    cdef int overflow = 0, also = 0
    cdef long long total
    if type(left) is str and type(right) is str:
        run.make_text(len(<str> left) + len(<str> right))
        return <str> left + <str> right
    if type(left) is int and type(right) is int:
        total = PyLong_AsLongLongAndOverflow(left, &overflow)
        total += PyLong_AsLongLongAndOverflow(right, &also)
        if not overflow and not also and -9007199254740992 <= total <= 9007199254740992:
            return PyLong_FromLongLong(total)
    return added(run, left, right)


cdef object added(Run run, object left, object right):
    cdef str first, second
    if isinstance(left, (list, dict, Callable, Opaque, HostObject, Promise)):
        left = text_of(run, left)
    if isinstance(right, (list, dict, Callable, Opaque, HostObject, Promise)):
        right = text_of(run, right)
    if type(left) is str or type(right) is str:
        first, second = text_of(run, left), text_of(run, right)
        run.make_text(len(first) + len(second))
        return first + second
    return number(double_of(run, left) + double_of(run, right))


cdef int compare(Run run, object left, object right) except -9:
    # -1, 0, 1; 2: not comparable (NaN)
    cdef double first, second
    if not is_number(left) and left is not None and left is not UNDEFINED:
        left = text_of(run, left)
    if not is_number(right) and right is not None and right is not UNDEFINED:
        right = text_of(run, right)
    if type(left) is str and type(right) is str:
        return -1 if <str> left < <str> right else <str> left != <str> right
    first, second = double_of(run, left), double_of(run, right)
    if isnan(first) or isnan(second):
        return 2
    return -1 if first < second else first > second


# -- operators ---------------------------------------------------------------------------------------

cdef dict OPERATORS = {
    "+": ADD, "-": SUBTRACT, "*": MULTIPLY, "/": DIVIDE, "%": REMAINDER, "&": BIT_AND, "|": BIT_OR,
    "^": BIT_XOR, "<<": LEFT, ">>": RIGHT, ">>>": RIGHT_UNSIGNED, "===": SAME, "!==": NOT_SAME, "==": EQUAL,
    "!=": NOT_EQUAL, "<": LESS, "<=": LESS_OR_EQUAL, ">": GREATER, ">=": GREATER_OR_EQUAL,
}


cdef int operator_of(str sign) except -1:
    return OPERATORS[sign]


cdef object arithmetic(Run run, int operator, object left, object right):
    cdef double first, second
    cdef unsigned int bits, shift
    if type(left) is int and type(right) is int:
        result = of_whole(operator, left, right)
        if result is not None:
            return result
    if operator == ADD:
        return plus(run, left, right)
    if operator < BIT_AND:
        first, second = double_of(run, left), double_of(run, right)
        if operator == SUBTRACT:
            return number(first - second)
        if operator == MULTIPLY:
            return number(first * second)
        if operator == DIVIDE:
            return divided(first, second)
        return number(fmod(first, second))
    bits, shift = uint32_of(run, left), uint32_of(run, right)
    if operator == BIT_AND:
        return PyLong_FromLongLong(<int> (bits & shift))
    if operator == BIT_OR:
        return PyLong_FromLongLong(<int> (bits | shift))
    if operator == BIT_XOR:
        return PyLong_FromLongLong(<int> (bits ^ shift))
    if operator == LEFT:
        return PyLong_FromLongLong(<int> (bits << (shift & 31)))
    if operator == RIGHT:
        return PyLong_FromLongLong((<int> bits) >> (shift & 31))
    return PyLong_FromLongLong(bits >> (shift & 31))


cdef extern from *:
    """
    /* C leaves a division by zero to the processor; this is IEEE 754, which JavaScript wants. */
    static double sgtm_divide(double left, double right) { return left / right; }
    """
    double sgtm_divide(double left, double right) noexcept


cdef object divided(double left, double right):
    return number(sgtm_divide(left, right))


# -- members -----------------------------------------------------------------------------------------


cdef Py_ssize_t index_of(object key) except -2:
    # The list index that a key is, or -1.
    cdef double value
    cdef str text
    if type(key) is int:
        return key if 0 <= key < 4294967295 else -1
    if type(key) is float:
        value = PyFloat_AS_DOUBLE(key)
        return <Py_ssize_t> value if value == floor(value) and 0 <= value < 4294967295.0 else -1
    if type(key) is str:
        text = key
        if 0 < len(text) < 11 and text.isascii() and text.isdigit() and (text[0] != "0" or text == "0"):
            return int(text)
    return -1


cdef object member(Run run, object owner, object key):
    cdef Py_ssize_t index
    cdef PyObject* found
    if type(owner) is dict:
        found = PyDict_GetItemWithError(owner, key_of(run, key))
        return UNDEFINED if found == NULL else <object> found
    if type(owner) is list:
        index = index_of(key)
        if index >= 0:
            return <object> PyList_GET_ITEM(owner, index) if index < PyList_GET_SIZE(owner) else UNDEFINED
        key = key_of(run, key)
        if key == "length":
            return len(<list> owner)
        named = None if run.named is None else run.named.get((id(owner), key))
        return UNDEFINED if named is None else (<tuple> named)[1]
    if type(owner) is str:
        index = index_of(key)
        if index >= 0:
            return (<str> owner)[index] if index < len(<str> owner) else UNDEFINED
        return len(<str> owner) if key_of(run, key) == "length" else UNDEFINED
    if owner is None or owner is UNDEFINED:
        raise ScriptError(f"cannot read {key_of(run, key)!r:.60} of {text_of(run, owner)}")
    if type(owner) is HostObject:
        return (<HostObject> owner).members.get(key_of(run, key), UNDEFINED)
    return UNDEFINED


cdef int set_member(Run run, object owner, object key, object value) except -1:
    cdef Py_ssize_t index, length
    cdef dict record
    if owner is None or owner is UNDEFINED:
        raise ScriptError(f"cannot write {key_of(run, key)!r:.60} of {text_of(run, owner)}")
    if run.frozen is not None and id(owner) in run.frozen:
        return 0
    if type(owner) is dict:
        record = owner
        key = key_of(run, key)
        if key not in record:
            run.make_elements(1)
        record[key] = value
    elif type(owner) is list:
        index, length = index_of(key), len(<list> owner)
        if 0 <= index < length:
            (<list> owner)[index] = value
        elif index >= 0:
            run.make_elements(index - length + 1)
            (<list> owner).extend([UNDEFINED] * (index - length))
            (<list> owner).append(value)
        elif key_of(run, key) == "length":
            set_length(run, owner, value)
        else:  # arrays may have members beside their positions (google-runtime 5.2)
            run.make_elements(1)
            run.named = run.named or {}
            run.named[id(owner), key_of(run, key)] = (owner, value)
    return 0


cdef int set_length(Run run, list values, object value) except -1:
    cdef double wanted = double_of(run, value)
    cdef Py_ssize_t length = len(values)
    if not (wanted == floor(wanted) and 0 <= wanted < 4294967296.0):
        raise ScriptError("no valid length of an array")
    if wanted > length:
        run.make_elements(<long long> wanted - length)
        values.extend([UNDEFINED] * (<Py_ssize_t> wanted - length))
    else:
        del values[<Py_ssize_t> wanted:]
    return 0


cdef object copied(Run run, object value):
    return copied_inside(run, value, {}, 0) if type(value) is dict or type(value) is list else value


cdef object copied_inside(Run run, object value, dict seen, int depth):
    # Shared parts and cycles are kept (google-runtime 5.6).
    if type(value) is not dict and type(value) is not list:
        return value
    known = seen.get(id(value))
    if known is not None:
        return known
    if depth > MAX_DEPTH:
        raise LimitError("depth", "a value is nested too deeply")
    run.make_elements(len(value))
    if type(value) is dict:
        result = seen[id(value)] = {}
        for key, inner in (<dict> value).items():
            (<dict> result)[key] = copied_inside(run, inner, seen, depth + 1)
        return result
    result = seen[id(value)] = []
    for inner in <list> value:
        (<list> result).append(copied_inside(run, inner, seen, depth + 1))
    return result


# -- for the host ------------------------------------------------------------------------------------


def to_text(Run run, value):
    return text_of(run, value)


def to_number(Run run, value):
    return number(double_of(run, value))


def is_true(value):
    return truth(value)


def is_same(left, right):
    return same(left, right)


def type_name(value):
    return type_of(value)


def get_member(Run run, owner, key):
    return member(run, owner, key)


def copy_value(Run run, value):
    return copied(run, value)
