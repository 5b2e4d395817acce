# Python values out of decoded bytes: text, numbers, bit sets. No bytes make these raise.

from cpython.long cimport PyLong_FromLongLong, PyLong_FromString
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from sgtm._fast.percent cimport decode_percent, sgtm_word

cdef extern from "Python.h":
    double PyOS_string_to_double(const char*, char**, PyObject*) except? -1.0
    str PyUnicode_New(Py_ssize_t size, Py_UCS4 highest)
    void* PyUnicode_DATA(object) noexcept

cdef extern from *:
    """
    static const double sgtm_powers[16] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15
    };
    """
    const double* sgtm_powers

cdef enum:
    DIGITS = 40  # longest number text; JavaScript writes at most 25 characters
    BRANDS = 50  # entries of one brand list: bounds the memory that one byte of a hit can ask for
    BITS_LENGTH = 64  # longest `_eu` that is decoded: 384 bits, gtag uses 40


cdef inline str text_of(const unsigned char* at, Py_ssize_t length):
    # Text of UTF-8; what is invalid becomes U+FFFD. ASCII, nearly all of it, is copied as it is.
    cdef Py_ssize_t index = 0
    cdef uint64_t high = 0
    while length - index >= 8:
        high |= sgtm_word(at + index)
        index += 8
    while index < length:
        high |= at[index]
        index += 1
    if high & <uint64_t> 0x8080808080808080 or length < 2:
        return PyUnicode_DecodeUTF8(<char*> at, length, "replace")
    text = PyUnicode_New(length, 127)
    memcpy(PyUnicode_DATA(text), at, length)
    return text


cdef inline bint is_one(const unsigned char* at, Py_ssize_t length) noexcept:
    return length == 1 and at[0] == c'1'


cdef inline bint is_blank(const unsigned char* at, Py_ssize_t length) noexcept:
    cdef Py_ssize_t index
    for index in range(length):
        if at[index] != c' ' and at[index] != c'\t' and at[index] != c'\r':
            return False
    return True


cdef inline object flag_or_text(const unsigned char* at, Py_ssize_t length):
    return at[0] == c'1' if length == 1 and (at[0] | 1) == c'1' else text_of(at, length)


cdef inline dict region_of(const unsigned char* at, Py_ssize_t length):
    # `BR-SP`: the region stands without its country (SPEC: ga4-protocol 2.2).
    cdef const unsigned char* dash = <const unsigned char*> memchr(at, c'-', length)
    if dash == NULL or dash == at + length - 1:
        return {"country": text_of(at, length)}
    return {"country": text_of(at, dash - at), "region": text_of(dash + 1, at + length - dash - 1)}


cdef inline object whole_or_float(double value):
    if -9e15 < value < 9e15:
        if value == <double> <long long> value:
            return PyLong_FromLongLong(<long long> value)
    elif value - value != 0.0:
        return None
    return value


cdef inline object long_number_of(
    const unsigned char* text, Py_ssize_t length, const unsigned char* at, int decimals
):
    # The rest of the grammar: an exponent from `at`, or more digits than a double holds exactly.
    cdef const unsigned char* end = text + length
    cdef char copy[DIGITS + 1]
    memcpy(copy, text, length)
    copy[length] = 0
    if at == end and decimals <= 0:
        copy[length - (decimals == 0)] = 0
        return PyLong_FromString(copy, NULL, 10)
    if at < end:
        if at[0] != c'e' and at[0] != c'E':
            return None
        at += 1
        at += at < end and (at[0] == c'-' or at[0] == c'+')
        if at == end:
            return None
        while at < end:
            if not c'0' <= at[0] <= c'9':
                return None
            at += 1
    return whole_or_float(PyOS_string_to_double(copy, NULL, NULL))


cdef inline object number_of(const unsigned char* text, Py_ssize_t length):
    # The number that JavaScript would write as this text, or None. Whole numbers are exact ints of any
    # size (SPEC: ga4-protocol 11.2), `10.0` is 10, what is not finite is no number.
    cdef const unsigned char* at = text
    cdef const unsigned char* end = text + length
    cdef uint64_t digits = 0
    cdef int count = 0, decimals = -1
    cdef bint is_negative = length > 0 and at[0] == c'-'
    if length > DIGITS:
        return None
    at += is_negative
    while at < end:
        if c'0' <= at[0] <= c'9':
            if count < 18:
                digits = digits * 10 + (at[0] - c'0')
            count += 1
            decimals += decimals >= 0
        elif at[0] == c'.' and decimals < 0:
            decimals = 0
        else:
            break
        at += 1
    if count == 0:
        return None
    if at < end or count > 15:
        return long_number_of(text, length, at, decimals)
    if decimals <= 0:
        return PyLong_FromLongLong(-<long long> digits if is_negative else <long long> digits)
    return whole_or_float((-<double> digits if is_negative else <double> digits) / sgtm_powers[decimals])


cdef inline object number_or_text(const unsigned char* at, Py_ssize_t length):
    value = number_of(at, length)
    return text_of(at, length) if value is None else value


cdef inline int base64_value(unsigned char byte) noexcept:
    if c'A' <= byte <= c'Z':
        return byte - c'A'
    if c'a' <= byte <= c'z':
        return byte - c'a' + 26
    if c'0' <= byte <= c'9':
        return byte - c'0' + 52
    return 62 if byte == c'-' else 63 if byte == c'_' else -1


cdef inline object bits_or_text(const unsigned char* at, Py_ssize_t length):
    # `_eu`: bit b is byte b div 8, bit b mod 8, the bytes in web-safe base64 without padding
    # (SPEC: ga4-protocol 11.1.5). What was not made in that way stays text.
    cdef list bits = []
    cdef uint32_t held = 0
    cdef int count = 0, value, bit, start = 0
    cdef Py_ssize_t index
    if not 2 <= length <= BITS_LENGTH or length % 4 == 1:
        return text_of(at, length)
    for index in range(length):
        value = base64_value(at[index])
        if value < 0:
            return text_of(at, length)
        held = (held << 6) | <uint32_t> value
        count += 6
        if count >= 8:
            count -= 8
            for bit in range(8):
                if (held >> count) & (1 << bit):
                    bits.append(start + bit)
            start += 8
            held &= (1 << count) - 1
    return text_of(at, length) if held else bits


cdef inline str decoded_again(const unsigned char* at, Py_ssize_t length, unsigned char* spare):
    # The text under a second percent-coding, where `+` is no space: encodeURIComponent made it.
    cdef const unsigned char* escape = <const unsigned char*> memchr(at, c'%', length)
    if escape == NULL:
        return text_of(at, length)
    return text_of(spare, decode_percent(at, length, escape - at, spare, False))


cdef inline list brands_of(
    const unsigned char* at, Py_ssize_t length, unsigned char* scratch, unsigned char* spare
):
    # `uafvl`: `brand;version|brand;version`, each encoded once more; some senders encode the whole once
    # more (SPEC: ga4-protocol 2.5, 11.2).
    cdef list brands = []
    cdef const unsigned char* end
    cdef const unsigned char* bar
    cdef const unsigned char* semicolon
    if memchr(at, c';', length) == NULL:
        length = decode_percent(at, length, 0, spare, False)
        memcpy(scratch, spare, length)
        at = scratch
    end = at + length
    while at < end and len(brands) < BRANDS:
        bar = <const unsigned char*> memchr(at, c'|', end - at)
        if bar == NULL:
            bar = end
        semicolon = <const unsigned char*> memchr(at, c';', bar - at)
        if semicolon == NULL:
            semicolon = bar
        if bar != at:
            brand, version = decoded_again(at, semicolon - at, spare), ""
            if semicolon < bar:
                version = decoded_again(semicolon + 1, bar - semicolon - 1, spare)
            brands.append({"brand": brand, "version": version})
        at = bar + 1
    return brands


cdef inline str decoded_text(const unsigned char* at, Py_ssize_t length):
    cdef bytearray scratch = bytearray(length)
    cdef unsigned char* target = scratch
    return text_of(target, decode_percent(at, length, 0, target, True))


cdef inline int custom_index(unsigned char letter) noexcept:
    # Index of a custom pair of an item, 0-9 then A-Z (SPEC: google-runtime 8a).
    return letter - c'0' if letter <= c'9' else letter - c'A' + 10


cdef inline str item_text(const unsigned char* at, const unsigned char* end, bint has_double):
    text = text_of(at, end - at)
    return text.replace("~~", "~") if has_double else text
