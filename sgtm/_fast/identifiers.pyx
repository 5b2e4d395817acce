"""User data: the rules' loops, a whole person at once, and SHA-256. What it promises: identifiers.pyi.

PERF: instructions a call (callgrind, Python 3.11, empty call taken away, portable SHA-256; the same
in plain Python with hashlib and re): digest of an e-mail 5,330 (6,510), with SHA-NI, which callgrind
cannot see, 2.2 times faster; clean name 1,050 (8,430); clean and check e-mail 1,750 (4,010); digits of a
phone number 1,480 (6,190); look for a digest 510 (1,890). Tables and dates stay Python: rare or a lookup.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.unicode cimport (
    PyUnicode_1BYTE_DATA,
    PyUnicode_AsUTF8AndSize,
    PyUnicode_DATA,
    PyUnicode_KIND,
    PyUnicode_New,
    PyUnicode_READ,
    Py_UNICODE_ISALNUM,
    Py_UNICODE_ISDECIMAL,
    Py_UNICODE_ISSPACE,
    Py_UNICODE_TODECIMAL,
)
from libc.stdint cimport uint8_t
from unicodedata import category

from sgtm._fast.scalars cimport PyUnicode_IS_ASCII, plain_text

cdef extern from "sha256.h" nogil:
    ctypedef void (*sha256_compress_fn)(unsigned int* state, const uint8_t* data, size_t blocks)
    void sha256_compress_portable(unsigned int* state, const uint8_t* data, size_t blocks)
    void sha256_compress_ni(unsigned int* state, const uint8_t* data, size_t blocks)
    bint sha256_ni_is_supported()
    void sha256_hex_into(sha256_compress_fn compress, const uint8_t* data, size_t size, char* out)


# -- SHA-256 -----------------------------------------------------------------------------------

cdef sha256_compress_fn compress = sha256_compress_portable
cdef str chosen = "portable"


def variants() -> tuple[str, ...]:
    return ("portable", "sha_ni") if sha256_ni_is_supported() else ("portable",)


def variant() -> str:
    return chosen


def set_variant(name: str) -> None:
    global compress, chosen
    if name not in variants():
        raise ValueError(f"no SHA-256 variant {name!r} on this machine; there are {', '.join(variants())}")
    compress = sha256_compress_ni if name == "sha_ni" else sha256_compress_portable
    chosen = name


set_variant("sha_ni" if sha256_ni_is_supported() else "portable")


cdef str hex_of(object value):
    cdef Py_ssize_t size
    cdef const char* data
    if PyBytes_Check(value):
        data = PyBytes_AS_STRING(value)
        size = PyBytes_GET_SIZE(value)
    elif isinstance(value, str):
        data = PyUnicode_AsUTF8AndSize(value, &size)
    else:
        raise TypeError(f"bytes or str, not {type(value).__name__}")
    digest = PyUnicode_New(64, 127)
    sha256_hex_into(compress, <const uint8_t*>data, size, <char*>PyUnicode_1BYTE_DATA(digest))
    return digest


def sha256_hex(value: bytes | str) -> str:
    return hex_of(value)


def sha256_hex_many(values: list[bytes | str]) -> list[str]:
    return [hex_of(value) for value in values]


# -- the loops of the rules --------------------------------------------------------------------

SPACE, PUNCTUATION, DIGITS, OTHER = 1, 2, 4, 8

cdef enum:
    MAX_VALUES = 50         # of one field of one person: nobody has more, a body has room for thousands
    IS_SPACE = 1
    IS_PUNCTUATION = 2
    IS_DIGIT = 4
    IS_OTHER = 8

cdef uint8_t[128] ascii_class
cdef Py_UCS4 code
for code in range(128):
    if Py_UNICODE_ISSPACE(code):
        ascii_class[code] = IS_SPACE
    elif code < 32 or code == 127:
        ascii_class[code] = IS_OTHER
    elif Py_UNICODE_ISDECIMAL(code):
        ascii_class[code] = IS_DIGIT
    elif Py_UNICODE_ISALNUM(code):
        ascii_class[code] = 0
    else:
        ascii_class[code] = IS_PUNCTUATION


cdef inline bint is_space(Py_UCS4 character) noexcept:
    # U+FEFF: whitespace for JavaScript, so for the browser pixel, not for Python
    return Py_UNICODE_ISSPACE(character) or character == 0xFEFF


cdef uint8_t class_of(Py_UCS4 character):
    if character < 128:
        return ascii_class[character]
    if is_space(character):
        return IS_SPACE
    if Py_UNICODE_ISDECIMAL(character):
        return IS_DIGIT
    if Py_UNICODE_ISALNUM(character) or category(character)[0] == "M":
        return 0
    return IS_OTHER


cdef bint is_kept(Py_UCS4 character, uint8_t drop):
    # a lone surrogate is no character and has no UTF-8
    return not class_of(character) & drop and not 0xD800 <= <int>character < 0xE000


cdef void trim(str text, Py_ssize_t* start, Py_ssize_t* end) noexcept:
    """Bounds of `text` without the whitespace around it."""
    cdef unsigned int kind = PyUnicode_KIND(text)
    cdef void* data = PyUnicode_DATA(text)
    start[0], end[0] = 0, len(text)
    while start[0] < end[0] and is_space(PyUnicode_READ(kind, data, start[0])):
        start[0] += 1
    while end[0] > start[0] and is_space(PyUnicode_READ(kind, data, end[0] - 1)):
        end[0] -= 1


cdef str clean_ascii(str text, Py_ssize_t start, Py_ssize_t end, uint8_t drop):
    """`clean` where every character is one byte: count what stays, then write it."""
    cdef const uint8_t* data = <const uint8_t*>PyUnicode_1BYTE_DATA(text)
    cdef uint8_t* out
    cdef Py_ssize_t index, kept = 0
    for index in range(start, end):
        kept += not ascii_class[data[index]] & drop
    result = PyUnicode_New(kept, 127)
    out = <uint8_t*>PyUnicode_1BYTE_DATA(result)
    for index in range(start, end):
        if not ascii_class[data[index]] & drop:
            out[0] = data[index] | 0x20 if b"A" <= data[index] <= b"Z" else data[index]
            out += 1
    return result


cpdef str clean(str text, uint8_t drop):
    cdef Py_ssize_t start, end
    trim(text, &start, &end)
    if start == end:
        return ""
    if PyUnicode_IS_ASCII(text):
        return clean_ascii(text, start, end, drop)
    return "".join([
        character
        for character in text[start:end].lower()
        if is_kept(character, drop)
    ])


cpdef str digits(str text):
    cdef unsigned int kind = PyUnicode_KIND(text)
    cdef void* data = PyUnicode_DATA(text)
    cdef Py_ssize_t index, found = 0, size = len(text)
    cdef uint8_t* out
    cdef int digit
    for index in range(size):
        found += Py_UNICODE_TODECIMAL(PyUnicode_READ(kind, data, index)) >= 0
    result = PyUnicode_New(found, 127)
    out = <uint8_t*>PyUnicode_1BYTE_DATA(result)
    for index in range(size):
        digit = Py_UNICODE_TODECIMAL(PyUnicode_READ(kind, data, index))
        if digit >= 0:
            out[0] = 48 + digit
            out += 1
    return result


cpdef str as_digest(str text, bint allow_md5):
    cdef Py_ssize_t start, end, index
    cdef const uint8_t* data
    trim(text, &start, &end)
    if end - start != 64 and not (end - start == 32 and allow_md5):
        return None
    found = text[start:end]
    if not PyUnicode_IS_ASCII(found):
        return None
    data = <const uint8_t*>PyUnicode_1BYTE_DATA(found)
    for index in range(end - start):
        if not (48 <= data[index] <= 57 or 97 <= data[index] | 0x20 <= 102):
            return None
    return found.lower()


cpdef bint is_email(str text):
    cdef unsigned int kind = PyUnicode_KIND(text)
    cdef void* data = PyUnicode_DATA(text)
    cdef Py_ssize_t index, at = -1, dot = -1, size = len(text)
    cdef Py_UCS4 character
    for index in range(size):
        character = PyUnicode_READ(kind, data, index)
        if character == u"@":
            if at >= 0:
                return False
            at = index
        elif character == u".":
            dot = index
        elif is_space(character):
            return False
    return at > 0 and dot > at + 1 and dot < size - 1


# -- the rules themselves ----------------------------------------------------------------------

cdef class Rule:
    cdef readonly object normalise
    cdef readonly bint allows_md5, begins_with_year

    def __init__(self, normalise, *, allows_md5: bool = True, begins_with_year: bool = False):
        self.normalise = normalise
        self.allows_md5, self.begins_with_year = allows_md5, begins_with_year


cdef class Cleaned:
    cdef uint8_t drop
    cdef Py_ssize_t length

    def __init__(self, drop: int, length: int = 0):
        self.drop, self.length = drop, length

    def __call__(self, str text not None):
        cleaned = clean(text, self.drop)
        return cleaned[:self.length] if self.length else cleaned


def email(str text not None):
    found = clean(text, 0)
    return found if is_email(found) else None


def email_without_dots(str text not None):
    cdef str found = clean(text, 0), local, domain
    local, _, domain = found.partition("@")
    if domain == "gmail.com" or domain == "googlemail.com":
        found = f"{local.replace('.', '')}@{domain}"
    return found if is_email(found) else None


def phone_digits(str text not None):
    number = digits(text).lstrip("0")
    return number if 7 <= len(number) <= 15 else None


def phone_e164(str text not None):
    cdef unsigned int kind = PyUnicode_KIND(text)
    cdef void* data = PyUnicode_DATA(text)
    cdef Py_ssize_t index
    cdef Py_UCS4 character
    for index in range(len(text)):
        character = PyUnicode_READ(kind, data, index)
        if Py_UNICODE_TODECIMAL(character) < 0 and not is_space(character):
            if not (character in u"-()/.+" or 0xD800 <= <int>character < 0xE000):
                return None
    number = digits(text)
    return f"+{number}" if 10 <= len(number) <= 15 else None


cdef str prepared(Rule rule, value, int year, bint* is_digest):
    """What is hashed, or the digest that came; None where there is nothing to send."""
    cdef str text = plain_text(value), digest, normal
    if text is None:
        return None
    digest = as_digest(text, rule.allows_md5)
    is_digest[0] = digest is not None
    if digest is not None:
        return digest
    normal = rule.normalise(text)
    if not normal or (rule.begins_with_year and not 1900 <= int(normal[:4]) <= year):
        return None
    return normal


def normalise(Rule rule not None, value, int year):
    cdef bint is_digest
    return prepared(rule, value, year, &is_digest)


cdef str digest_of(Rule rule, value, int year):
    cdef bint is_digest
    text = prepared(rule, value, year, &is_digest)
    return text if text is None or is_digest else hex_of(text)


def hash_value(Rule rule not None, value, int year):
    return digest_of(rule, value, year)


cdef list digests_of(Rule rule, values, int year):
    """Of one source, each digest once; a list is as many values."""
    cdef list found = []
    cdef Py_ssize_t count = 0
    if not isinstance(values, (list, tuple)):
        values = (values,)
    for value in values:
        if count == MAX_VALUES:
            break
        count += 1
        digest = digest_of(rule, value, year)
        if digest is not None and digest not in found:
            found.append(digest)
    return found


def hash_fields(dict rules not None, dict found not None, int year):
    cdef dict hashed = {}
    for field, values in found.items():
        digests = digests_of(<Rule?>rules[field], values, year)
        if digests:
            hashed[field] = digests
    return hashed


def hash_first(dict holder not None, Rule rule not None, tuple names not None, int year=9999):
    for name in names:
        value = holder.get(name)
        if value is not None:
            digests = digests_of(rule, value, year)
            if digests:
                return digests
    return []


cdef const char* BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


cdef inline int hex_value(uint8_t digit) except -1:
    if 48 <= digit <= 57:
        return digit - 48
    if 97 <= digit <= 102:
        return digit - 87
    raise ValueError("no lower-case hex digit")


def web_safe_base64(str digest not None):
    if not PyUnicode_IS_ASCII(digest):
        raise ValueError("no lower-case hex digit")
    cdef const uint8_t* at = <const uint8_t*>PyUnicode_1BYTE_DATA(digest)
    cdef Py_ssize_t size = len(digest), index
    cdef unsigned int held = 0
    cdef int count = 0
    text = PyUnicode_New((4 * size + 5) // 6, 127)
    cdef uint8_t* out = <uint8_t*>PyUnicode_1BYTE_DATA(text)
    for index in range(size):
        held = held << 4 | hex_value(at[index])
        count += 4
        if count >= 6:
            count -= 6
            out[0] = BASE64[held >> count & 63]
            out += 1
    if count:
        out[0] = BASE64[held << (6 - count) & 63]
    return text
