# Patterns that are a row of single characters, each out of a class of ASCII: no engine is needed for them.

cdef extern from *:
    """
    /* Where `count` characters in a row are each in their class (16 bytes: a bit for each character of
       ASCII); -1: nowhere. `text` is ASCII. */
    static Py_ssize_t sgtm_row_at(const unsigned char *text, Py_ssize_t length, const unsigned char *classes,
                                  Py_ssize_t count, int is_start, int is_end, Py_ssize_t from) {
        Py_ssize_t last = is_start ? 0 : length - count, place;
        Py_ssize_t first = is_end ? length - count : from;
        if (first < from || length < count)
            return -1;
        for (; first <= last; first++) {
            for (place = 0; place < count; place++) {
                unsigned char sign = text[first + place];
                if (!(classes[16 * place + (sign >> 3)] >> (sign & 7) & 1))
                    break;
            }
            if (place == count)
                return first;
        }
        return -1;
    }
    """
    Py_ssize_t sgtm_row_at(const unsigned char* text, Py_ssize_t length, const unsigned char* classes,
                           Py_ssize_t count, bint is_start, bint is_end, Py_ssize_t start) noexcept nogil
