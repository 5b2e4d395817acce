"""JSON.stringify of the template engine's values, and what JSON.parse gives as values of the engine."""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.string cimport memcpy
from msgspec import UNSET

from sgtm._fast.javascript cimport number_text
from sgtm._fast.sandbox_convert cimport number
from sgtm._fast.sandbox_values cimport Callable, Run, spend

from sgtm._fast.sandbox_values import LimitError

__all__ = ["adopted", "stringify"]

cdef extern from "Python.h":
    void* PyUnicode_DATA(object) noexcept
    bint PyUnicode_IS_ASCII(object) noexcept
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* What follows the backslash of a byte that JSON escapes; 0 for the others. */
    static const unsigned char sgtm_json_escape[256] = {
        [0 ... 31] = 'u', ['\\b'] = 'b', ['\\t'] = 't', ['\\n'] = 'n', ['\\f'] = 'f', ['\\r'] = 'r',
        ['"'] = '"', ['\\\\'] = '\\\\',
    };

    /* How many bytes from the first on need no escape. */
    static Py_ssize_t sgtm_json_plain(const unsigned char *text, Py_ssize_t count) {
        const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
        Py_ssize_t at = 0;
        for (; count - at >= 8; at += 8) {
            uint64_t word, quote, slash;
            memcpy(&word, text + at, 8);
            quote = word ^ ones * '"', slash = word ^ ones * '\\\\';
            if ((((word - ones * 32) & ~word) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash))
                & highs)
                break;
        }
        while (at < count && !sgtm_json_escape[text[at]])
            at++;
        return at;
    }

    /* A whole number as text at the end of `room`; where it begins. */
    static const char *sgtm_json_digits(long long value, char *room, Py_ssize_t *count) {
        unsigned long long rest = value < 0 ? 0ULL - (unsigned long long) value : (unsigned long long) value;
        char *at = room + 24;
        do
            *--at = (char) ('0' + rest % 10);
        while (rest /= 10);
        if (value < 0)
            *--at = '-';
        *count = room + 24 - at;
        return at;
    }
    """
    Py_ssize_t sgtm_json_plain(const unsigned char*, Py_ssize_t) noexcept
    const char* sgtm_json_digits(long long, char*, Py_ssize_t*) noexcept
    const unsigned char* sgtm_json_escape

cdef object UNDEFINED = UNSET
cdef enum:
    MAX_DEPTH = 100     # of nested values


class _CycleError(Exception):
    pass


cdef struct Above:
    # The lists and objects around a value.
    void* value
    Above* outer
    int depth


cdef class _Pieces:
    # JSON as it is written, in UTF-8.
    cdef Run run
    cdef char* text
    cdef Py_ssize_t length, room
    cdef bint has_surrogates

    def __cinit__(self):
        self.text, self.length, self.room, self.has_surrogates = NULL, 0, 0, False

    def __dealloc__(self):
        PyMem_Free(self.text)

    cdef int grow(self, Py_ssize_t count) except -1:
        cdef char* text = <char*> PyMem_Realloc(self.text, 2 * self.room + count + 256)
        if text == NULL:
            raise MemoryError
        self.text, self.room = text, 2 * self.room + count + 256
        return 0

    cdef inline int put(self, const char* text, Py_ssize_t count) except -1:
        if self.length + count > self.room:
            self.grow(count)
        memcpy(self.text + self.length, text, count)
        self.length += count
        return 0

    cdef inline int put_sign(self, char sign) except -1:
        if self.length == self.room:
            self.grow(1)
        self.text[self.length] = sign
        self.length += 1
        return 0

    cdef int put_text(self, str text) except -1:
        cdef bytes encoded
        spend(self.run, (len(text) >> 4) + 1)
        if PyUnicode_IS_ASCII(text):
            return self.put_quoted(<const char*> PyUnicode_DATA(text), len(text))
        try:
            encoded = text.encode()
        except UnicodeEncodeError:
            encoded = text.encode("utf-8", "surrogatepass")
            self.has_surrogates = True
        return self.put_quoted(encoded, len(encoded))

    cdef int put_quoted(self, const char* text, Py_ssize_t count) except -1:
        cdef Py_ssize_t plain
        cdef unsigned char byte
        if self.length + count + 2 > self.room:
            self.grow(count + 2)
        self.put_sign(c'"')
        while True:
            plain = sgtm_json_plain(<const unsigned char*> text, count)
            self.put(text, plain)
            if plain == count:
                return self.put_sign(c'"')
            byte = text[plain]
            self.put_escape(byte, sgtm_json_escape[byte])
            text += plain + 1
            count -= plain + 1

    cdef int put_escape(self, unsigned char byte, unsigned char sign) except -1:
        cdef char[6] escape = [c"\\", sign, c"0", c"0", c"0" + (byte >> 4), 0]
        escape[5] = b"0123456789abcdef"[byte & 15]
        return self.put(escape, 6 if sign == c"u" else 2)

    cdef int put_number(self, value) except -1:
        cdef int overflow = 0
        cdef Py_ssize_t count
        cdef char[24] room
        cdef const char* digits
        cdef long long whole
        cdef str text
        if type(value) is int:
            whole = PyLong_AsLongLongAndOverflow(value, &overflow)
            if not overflow:
                digits = sgtm_json_digits(whole, room, &count)
                return self.put(digits, count)
        text = number_text(value)
        if text in ("NaN", "Infinity", "-Infinity"):
            return self.put(b"null", 4)
        return self.put(<const char*> PyUnicode_DATA(text), len(text))

    # -- values ------------------------------------------------------------------------------------

    cdef bint write(self, object value, Above* outer) except -1:
        # False: it has no JSON (undefined, functions).
        cdef Above above
        if type(value) is str:
            self.put_text(value)
        elif value is None:
            self.put(b"null", 4)
        elif value is True:
            self.put(b"true", 4)
        elif value is False:
            self.put(b"false", 5)
        elif type(value) is int or type(value) is float:
            self.put_number(value)
        elif value is UNDEFINED or isinstance(value, Callable):
            return False
        elif type(value) is dict or type(value) is list:
            enter(self.run, value, &above, outer)
            self.write_record(value, &above) if type(value) is dict else self.write_list(value, &above)
        else:
            self.put(b"{}", 2)
        return True

    cdef int write_list(self, list values, Above* above) except -1:
        cdef char between = c"["
        for value in values:
            self.put_sign(between)
            between = c","
            if not self.write(value, above):
                self.put(b"null", 4)
        return self.put_sign(c"]") if values else self.put(b"[]", 2)

    cdef int write_record(self, dict record, Above* above) except -1:
        cdef Py_ssize_t start
        cdef char between = c"{"
        for key in record:
            if is_digit_first(key) and is_place(key):
                record = in_order(record)
                break
        for key, value in record.items():
            start = self.length
            self.put_sign(between)
            self.put_text(key)
            self.put_sign(c":")
            if self.write(value, above):
                between = c","
            else:
                self.length = start
        return self.put_sign(c"}") if between == c"," else self.put(b"{}", 2)


cdef int enter(Run run, object value, Above* above, Above* outer) except -1:
    above.value, above.outer, above.depth = <void*> value, outer, 1
    if outer != NULL:
        above.depth = outer.depth + 1
    while outer != NULL:
        if outer.value == <void*> value:
            raise _CycleError
        outer = outer.outer
    if above.depth > MAX_DEPTH:
        raise LimitError("depth", "a value is nested too deeply for JSON")
    return run.charge(len(value) + 1)


def stringify(Run run, value):
    cdef _Pieces pieces = _Pieces()
    cdef str text
    pieces.run = run
    try:
        if not pieces.write(value, NULL):
            return UNDEFINED
    except _CycleError:
        return UNDEFINED
    text = pieces.text[:pieces.length].decode("utf-8", "surrogatepass")
    if pieces.has_surrogates:
        text = escaped_surrogates(text)
    run.make_text(len(text))
    return text


cdef str escaped_surrogates(str text):
    return "".join([f"\\u{ord(letter):x}" if 0xD800 <= ord(letter) < 0xE000 else letter for letter in text])


cdef dict in_order(dict record):
    # Positions first, as on the host (google-runtime 5.2).
    cdef list places = [key for key in record if is_place(key)]
    places.sort(key=int)
    places.extend([key for key in record if not is_place(key)])
    return {key: record[key] for key in places}


cdef inline bint is_digit_first(str key) noexcept:
    # PERF: what most keys are not, without a look at the rest
    return PyUnicode_IS_ASCII(key) and c"0" <= (<const char*> PyUnicode_DATA(key))[0] <= c"9"


cdef bint is_place(str key):
    if not key or not c"0" <= key[0] <= c"9":
        return False
    return key.isascii() and key.isdigit() and len(key) < 11 and (len(key) == 1 or key[0] != "0")


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
