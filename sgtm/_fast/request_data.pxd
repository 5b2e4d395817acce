# What the server knows of a hit besides its parameters: consent in Google's form, hints from headers.

from libc.string cimport memchr

from sgtm._fast.values cimport BRANDS, text_of


cdef inline int gcd_value(Py_UCS4 letter) noexcept:
    # SPEC: google-runtime 6.6, the alphabet 0-9 a-z A-Z - _
    cdef int code = <int> letter
    if c'0' <= code <= c'9':
        return code - c'0'
    if c'a' <= code <= c'z':
        return code - c'a' + 10
    if c'A' <= code <= c'Z':
        return code - c'A' + 36
    return 62 if code == c'-' else 63 if code == c'_' else 0


cdef inline int said(int code) noexcept:
    # A state of two bits: 2 denied, 3 granted; unset (1) and other (0) say nothing.
    return code & 3 if code & 2 else 0


cdef inline int read_gcd(str gcd, int* states) except -1:
    # Effective states: update, else default (else the container-scoped one of the tail, if it is used), else
    # the same of the type it is delegated to, else declared, else implicit. A type that says nothing leaves
    # its state as it was.
    cdef int firsts[4]
    cdef int explicit[4]
    cdef int declared[4]
    cdef int pairs = 0, index, state, second, delegate, scoped = 0, last = 0
    if len(gcd) == 12:
        scoped, last = gcd_value(gcd[10]), gcd_value(gcd[11])
    while pairs < 4 and 2 * pairs + 2 < len(gcd):
        firsts[pairs] = gcd_value(gcd[2 * pairs + 1])
        second = gcd_value(gcd[2 * pairs + 2])
        explicit[pairs] = said(second) or said(second >> 2)
        if last & 4 and not explicit[pairs]:
            explicit[pairs] = said(last if pairs == 3 else scoped >> (4 - 2 * pairs))
        declared[pairs] = said(second >> 4)
        pairs += 1
    for index in range(pairs):
        state = explicit[index]
        delegate = (firsts[index] >> 2) - 12
        if not state and 0 <= delegate < pairs:
            state = explicit[delegate]
        state = state or declared[index] or said(firsts[index])
        if state:
            states[index] = state
    return 0


cdef inline dict consent_of(dict data, dict sst):
    # SPEC: ga4-protocol 2.2: unset counts as granted. The same states as sgtm/consent.py reads.
    cdef int states[4]
    cdef int index
    cdef str text
    states[:] = [0, 0, 0, 0]
    found = data.get("x-ga-gcs")
    if type(found) is str:
        text = found
        if len(text) >= 4 and text[0] == u'G' and text[1] == u'1':
            for index in range(2):
                states[index] = 3 if text[index + 2] == u'1' else 2 if text[index + 2] == u'0' else 0
    found = data.get("x-ga-gcd")
    if type(found) is str:
        read_gcd(found, states)
    update_type = data.get("x-ga-mp2-gcut") or sst.get("gcut") or ""
    return {
        "consentGrantedState": {
            "ad_storage": states[0] != 2,
            "analytics_storage": states[1] != 2,
            "ad_user_data": states[2] != 2,
            "ad_personalization": states[3] != 2,
        },
        "isUpdate": data.get("x-ga-gcu") == "1",
        "updateType": str(update_type),
    }


cdef inline str quoted_text(const unsigned char** at, const unsigned char* end):
    # The text of a quoted string whose opening quote has been read; moves `at` behind the closing one.
    cdef const unsigned char* start = at[0]
    cdef const unsigned char* cursor = start
    cdef bint has_escape = False
    while cursor < end and cursor[0] != c'"':
        if cursor[0] == c'\\':
            has_escape = True
            cursor += end - cursor >= 2
        cursor += 1
    at[0] = cursor + (cursor < end)
    if not has_escape:
        return text_of(start, cursor - start)
    return _unescape(start[:cursor - start])


cdef inline str _unescape(bytes quoted):
    cdef bytearray plain = bytearray()
    cdef Py_ssize_t index = 0
    while index < len(quoted):
        index += quoted[index] == c'\\'
        if index < len(quoted):
            plain.append(quoted[index])
        index += 1
    return plain.decode("utf-8", "replace")


cdef inline list header_brands(bytes header):
    # `"brand";v="1", "brand";v="2"` (SPEC: ga4-protocol 2.5), read leniently.
    cdef list brands = []
    cdef const unsigned char* at = header
    cdef const unsigned char* end = at + len(header)
    while len(brands) < BRANDS:
        at = <const unsigned char*> memchr(at, c'"', end - at)
        if at == NULL:
            break
        at += 1
        brand, version = quoted_text(&at, end), ""
        if end - at >= 4 and at[0] == c';' and at[1] == c'v' and at[2] == c'=' and at[3] == c'"':
            at += 4
            version = quoted_text(&at, end)
        brands.append({"brand": brand, "version": version})
    return brands


cdef inline dict hints_of(bytes brands, bytes mobile, bytes platform):
    # client_hints out of the three headers that browsers send unasked; those that came.
    cdef dict hints = {}
    if brands is not None:
        hints["brands"] = header_brands(brands)
    if mobile is not None:
        hints["mobile"] = mobile.strip() == b"?1"
    if platform is not None:
        hints["platform"] = platform.decode("utf-8", "replace")
    return hints
