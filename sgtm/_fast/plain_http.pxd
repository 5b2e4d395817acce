# What plain HTTP/1.1 is made of, for requests that come (http.pyx) and answers of vendors (vendor_http.pyx).

from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef inline const unsigned char* plain_run(
    const unsigned char* at, const unsigned char* end, unsigned char least
) noexcept nogil:
    """The first byte that is below `least` (0x20 or 0x21) or above 0x7E, or `end`."""
    cdef uint64_t word
    cdef uint64_t ones = 0x0101010101010101
    while end - at >= 8:
        memcpy(&word, at, 8)
        # a high bit in one of the three: above 0x7F; 0x7F; below `least` (what a borrow adds is refused too)
        if (word | (word + ones) | (word - ones * least)) & (ones << 7):
            break
        at += 8
    while at < end and least <= at[0] < 0x7F:
        at += 1
    return at


cdef inline Py_ssize_t read_length(const unsigned char* at, Py_ssize_t size) noexcept nogil:
    """1 to 7 digits, no zero before others; -1: something else."""
    cdef Py_ssize_t length = 0
    cdef Py_ssize_t index
    if not 1 <= size <= 7 or (at[0] == c"0" and size > 1):
        return -1
    for index in range(size):
        if not c"0" <= at[index] <= c"9":
            return -1
        length = length * 10 + (at[index] - c"0")
    return length


cdef inline int read_connection(const unsigned char* at, Py_ssize_t size) noexcept nogil:
    """0: keep-alive, 1: close, -1: something else."""
    cdef const char* wanted = b"keep-alive" if size == 10 else b"close"
    cdef Py_ssize_t index
    if size != 10 and size != 5:
        return -1
    for index in range(size):
        if at[index] | 0x20 != <unsigned char>wanted[index]:  # no control characters come here
            return -1
    return size == 5
