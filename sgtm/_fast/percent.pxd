# Percent-decoding shared by the compiled modules: inline, no Python objects, no bounds but the caller's.
#
# SPEC: ga4-protocol 1.1: `%XX` with hex digits in either case is one byte, `+` is a space in form
# encoding, a broken escape (`%`, `%4`, `%zz`) stays as it is written.

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* Value of a hex digit plus one; 0 for every other byte. */
    static const unsigned char sgtm_hex[256] = {
        ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8,
        ['8'] = 9, ['9'] = 10,
        ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
        ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    };

    /* Bytes that end a name or need decoding. */
    static const unsigned char sgtm_special[256] = {['='] = 1, ['&'] = 1, ['%'] = 1, ['+'] = 1};

    /* Eight bytes at once, on any processor; the first byte is the lowest. */
    static inline uint64_t sgtm_word(const unsigned char *at) {
        uint64_t word;
        memcpy(&word, at, 8);
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
    #endif
        return word;
    }
    /* Nonzero if one of the eight is `byte`; the lowest bit that is set belongs to the first such byte. */
    static inline uint64_t sgtm_has(uint64_t word, unsigned char byte) {
        word ^= UINT64_C(0x0101010101010101) * byte;
        return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
    }
    static inline int sgtm_first(uint64_t mask) { return __builtin_ctzll(mask) >> 3; }
    """
    const unsigned char* sgtm_hex
    const unsigned char* sgtm_special
    uint64_t sgtm_word(const unsigned char*) noexcept nogil
    uint64_t sgtm_has(uint64_t, unsigned char) noexcept nogil
    int sgtm_first(uint64_t) noexcept nogil


cdef inline const unsigned char* find_either(
    const unsigned char* at, const unsigned char* end, unsigned char a, unsigned char b, unsigned char c
) noexcept nogil:
    # The first of three bytes, or `end`.
    cdef uint64_t word, mask
    while end - at >= 8:
        word = sgtm_word(at)
        mask = sgtm_has(word, a) | sgtm_has(word, b) | sgtm_has(word, c)
        if mask:
            return at + sgtm_first(mask)
        at += 8
    while at < end and at[0] != a and at[0] != b and at[0] != c:
        at += 1
    return at


cdef inline Py_ssize_t decode_percent(
    const unsigned char* source, Py_ssize_t length, Py_ssize_t first, unsigned char* target,
    bint plus_is_space,
) noexcept nogil:
    # Decode `length` bytes of `source` into `target`, which has room for as many, and return the decoded
    # length. Nothing before offset `first` needs decoding: it is only copied.
    cdef const unsigned char* at = source + first
    cdef const unsigned char* end = source + length
    cdef unsigned char* out = target + first
    cdef unsigned char byte
    cdef uint64_t mask
    memcpy(target, source, first)
    while at < end:
        byte = at[0]
        at += 1
        if byte == c'%':
            if end - at >= 2 and sgtm_hex[at[0]] and sgtm_hex[at[1]]:
                byte = <unsigned char> (((sgtm_hex[at[0]] - 1) << 4) | (sgtm_hex[at[1]] - 1))
                at += 2
        elif byte == c'+' and plus_is_space:
            byte = c' '
        out[0] = byte
        out += 1
        while end - at >= 8:
            mask = sgtm_has(sgtm_word(at), c'%') | sgtm_has(sgtm_word(at), c'+')
            memcpy(out, at, 8)
            if mask:
                at += sgtm_first(mask)
                out += sgtm_first(mask)
                break
            at += 8
            out += 8
    return out - target
