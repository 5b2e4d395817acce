"""Methods of texts and numbers: exactly Google's lists (SPEC: google-runtime 5.2), and `startsWith`, which
templates of the gallery use. Each charges the run before it works."""

from cpython.object cimport PyObject
from libc.math cimport floor, isfinite
from msgspec import UNSET

from sgtm._fast.javascript cimport number_text
from sgtm._fast.sandbox_convert cimport double_of, int_of, text_of
from sgtm._fast.sandbox_values cimport Callable, Regex, Run, listed

__all__ = ["names"]

cdef object UNDEFINED = UNSET
cdef enum:
    FRACTION_DIGITS = 52    # of a number in another base
cdef long long LAST = 9007199254740992
cdef str SPACE = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
cdef str DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


cdef class _Entry:
    pass

cdef _Entry entry(Method method):
    cdef _Entry result = _Entry()
    result.method = method
    return result


cdef object first(PyObject** args, Py_ssize_t count):
    return <object> args[0] if count else UNDEFINED


cdef object second(PyObject** args, Py_ssize_t count):
    return <object> args[1] if count > 1 else UNDEFINED


cdef Py_ssize_t clamped(Run run, object value, Py_ssize_t length, Py_ssize_t missing) except -1:
    # A position as slice and splice read it: counted from the end where it is below zero.
    cdef long long place = int_of(run, value, missing)
    if place < 0:
        place += length
    return <Py_ssize_t> max(0, min(place, length))


# -- text --------------------------------------------------------------------------------------------


cdef object s_char_at(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef long long index = int_of(run, first(args, count), 0)
    return (<str> this)[index] if 0 <= index < len(<str> this) else ""


cdef object s_concat(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef list parts = [this] + [text_of(run, value) for value in listed(args, count)]
    run.make_text(sum(map(len, parts)))
    return "".join(parts)


cdef object s_index_of(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef Py_ssize_t length = len(<str> this)
    run.charge(length >> 5)
    cdef str wanted = text_of(run, first(args, count))
    return (<str> this).find(wanted, max(0, min(int_of(run, second(args, count), 0), length)))


cdef object s_last_index_of(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef str wanted = text_of(run, first(args, count))
    cdef double place = double_of(run, second(args, count))
    cdef Py_ssize_t length = len(<str> this), start
    run.charge(length >> 5)
    start = length if place != place else <Py_ssize_t> max(0.0, min(place, <double> length))
    return (<str> this).rfind(wanted, 0, start + len(wanted))


cdef object s_match(Run run, object this, PyObject** args, Py_ssize_t count):
    run.charge(len(<str> this) >> 3)
    return run.patterns.match(run, this, first(args, count))


cdef object s_search(Run run, object this, PyObject** args, Py_ssize_t count):
    run.charge(len(<str> this) >> 3)
    return run.patterns.search(run, this, first(args, count))


cdef object s_replace(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef str text = this, wanted, new
    cdef Py_ssize_t at
    replacement = second(args, count)
    if isinstance(first(args, count), Regex):
        run.charge(len(text) >> 3)
        return run.patterns.replace(run, text, first(args, count), replacement)
    wanted = text_of(run, first(args, count))
    run.charge(len(text) >> 5)
    at = text.find(wanted)
    if isinstance(replacement, Callable):
        if at < 0:
            return text
        new = text_of(run, (<Callable> replacement).call(run, [wanted, at, text]))
    else:
        new = text_of(run, replacement)
        if at < 0:
            return text
        if "$" in new:
            new = run.patterns.expand(run, new, text, at, at + len(wanted))
    run.make_text(len(text) - len(wanted) + len(new))
    return text[:at] + new + text[at + len(wanted):]


cdef object s_slice(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef Py_ssize_t length = len(<str> this)
    cdef Py_ssize_t start = clamped(run, first(args, count), length, 0), end = clamped(
        run, second(args, count), length, length)
    run.make_text(max(0, end - start))
    return (<str> this)[start:end] if start < end else ""


cdef object s_substring(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef Py_ssize_t length = len(<str> this)
    cdef Py_ssize_t start = max(0, min(int_of(run, first(args, count), 0), length))
    cdef Py_ssize_t end = max(0, min(int_of(run, second(args, count), length), length))
    run.make_text(abs(end - start))
    return (<str> this)[min(start, end):max(start, end)]


cdef object s_split(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef str text = this, between
    cdef long long limit = int_of(run, second(args, count), LAST)
    cdef list parts
    if isinstance(first(args, count), Regex):
        run.charge(len(text) >> 3)
        return run.patterns.split(run, text, first(args, count), limit)
    if limit == 0:
        return []
    if first(args, count) is UNDEFINED:
        return [text]
    between = text_of(run, first(args, count))
    run.make_text(len(text))
    run.make_elements(text.count(between) + 1 if between else len(text))
    parts = text.split(between) if between else list(text)
    return parts[:limit] if 0 <= limit < len(parts) else parts


cdef object s_lower(Run run, object this, PyObject** args, Py_ssize_t count):
    run.make_text(len(<str> this))
    return (<str> this).lower()


cdef object s_upper(Run run, object this, PyObject** args, Py_ssize_t count):
    run.make_text(len(<str> this))
    return (<str> this).upper()


cdef object s_trim(Run run, object this, PyObject** args, Py_ssize_t count):
    run.make_text(len(<str> this))
    return (<str> this).strip(SPACE)


cdef object s_to_string(Run run, object this, PyObject** args, Py_ssize_t count):
    return this


cdef object s_starts_with(Run run, object this, PyObject** args, Py_ssize_t count):
    return (<str> this).startswith(
        text_of(run, first(args, count)), max(0, min(int_of(run, second(args, count), 0), len(<str> this))))


# -- numbers and the rest ------------------------------------------------------------------------------


cdef object n_to_string(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef long long radix = int_of(run, first(args, count), 10)
    cdef double value, whole, fraction
    cdef str digits = "", after = ""
    cdef int index
    if type(this) is bool:
        return "true" if this else "false"
    value = double_of(run, this)
    if radix == 10 or radix < 2 or radix > 36 or not isfinite(value):
        return number_text(this)
    whole = floor(abs(value))
    fraction = abs(value) - whole
    left = int(whole)
    while left:
        left, index = divmod(left, radix)
        digits = DIGITS[index] + digits
    for _ in range(FRACTION_DIGITS):
        if fraction == 0:
            break
        fraction *= radix
        index = <int> fraction
        fraction -= index
        after += DIGITS[index]
    return ("-" if value < 0 else "") + (digits or "0") + ("." + after if after else "")


# -- table ------------------------------------------------------------------------------------------------

cdef dict STRING = {
    "charAt": entry(s_char_at), "concat": entry(s_concat), "indexOf": entry(s_index_of),
    "lastIndexOf": entry(s_last_index_of), "match": entry(s_match), "replace": entry(s_replace),
    "search": entry(s_search), "slice": entry(s_slice), "split": entry(s_split),
    "substring": entry(s_substring), "toLowerCase": entry(s_lower), "toLocaleLowerCase": entry(s_lower),
    "toString": entry(s_to_string), "toUpperCase": entry(s_upper), "toLocaleUpperCase": entry(s_upper),
    "trim": entry(s_trim), "startsWith": entry(s_starts_with),
}


cdef Method string_method(str name) noexcept:
    found = STRING.get(name)
    return NULL if found is None else (<_Entry> found).method


def names():
    return list(STRING)
