# What JavaScript makes of text and numbers: encodeURIComponent and String(number).

cdef extern from *:
    """
    /* Whether encodeURIComponent leaves a byte as it is: letters, digits and -_.!~*'() */
    static const unsigned char sgtm_unreserved[256] = {
        ['-'] = 1, ['_'] = 1, ['.'] = 1, ['!'] = 1, ['~'] = 1, ['*'] = 1, ['\\''] = 1, ['('] = 1, [')'] = 1,
        ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
    };
    static const char sgtm_hex_digits[] = "0123456789ABCDEF";
    """
    const unsigned char* sgtm_unreserved
    const char* sgtm_hex_digits

# How a text is escaped.
cdef enum:
    PLAIN                   # encodeURIComponent
    IN_ITEM                 # and `~` doubled: it separates the pairs of an item (google-runtime 6.4)
    TWICE                   # encodeURIComponent of encodeURIComponent: brands of `uafvl`


cdef inline char* put_byte(char* out, unsigned char byte, int escape) noexcept nogil:
    # One byte of UTF-8, escaped, at `out` (room for 5 bytes); where the next one goes.
    if sgtm_unreserved[byte]:
        out[0] = byte
        if byte != c'~' or escape != IN_ITEM:
            return out + 1
        out[1] = byte
        return out + 2
    out[0] = c'%'
    if escape == TWICE:
        out[1], out[2] = c'2', c'5'
        out += 2
    out[1], out[2] = sgtm_hex_digits[byte >> 4], sgtm_hex_digits[byte & 15]
    return out + 3


cdef inline str number_text(value):
    # A number as JavaScript writes it; but whole numbers keep their digits, also beyond 2**53 (11.2).
    cdef str text
    if isinstance(value, int):
        if int(value).bit_length() <= 128:
            return str(int(value))
        try:
            value = float(value)
        except OverflowError:
            return "Infinity" if value > 0 else "-Infinity"
    if value != value:
        return "NaN"
    if value - value != 0:
        return "Infinity" if value > 0 else "-Infinity"
    text = repr(float(value))
    if "e" not in text:
        text = text.removesuffix(".0")
        return "0" if text == "-0" else text
    return exponent_text(text)


cdef inline str exponent_text(str text):
    # Python changes to exponents at 1e16 and below 1e-4, JavaScript at 1e21 and below 1e-6.
    cdef str sign = "-" if text[0] == "-" else "", digits, whole, fraction
    cdef int point, count
    mantissa, _, exponent = text.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = int(exponent or "0") + len(whole)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    fraction = "." + digits[1:] if count > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
