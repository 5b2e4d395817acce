# What a glance at a hit tells. What it promises stands in glance.pyi.
#
# PERF: asked several times for each hit, where the answer is nearly always the plain one.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp

cdef str GCS = "x-ga-gcs", GCD = "x-ga-gcd", SYSTEM = "x-sst-system_properties", GCUT = "gcut"
cdef tuple OUTRIGHT = ("x-ga-gcu", "consent_state", "x-ga-mp2-gcut")


def leading_tag_id(bytes query not None):
    cdef const unsigned char* text = <const unsigned char*> PyBytes_AS_STRING(query)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(query), end = 10
    if size < 12 or memcmp(text, b"v=2&tid=G-", 10) != 0:
        return ""
    while end < size and (
        c"0" <= text[end] <= c"9" or c"A" <= text[end] <= c"Z" or c"a" <= text[end] <= c"z"
    ):
        end += 1
    if end == 10 or end == size or text[end] != c"&":
        return ""
    return text[8:end].decode("ascii")


def known_consent(dict data not None, dict known not None):
    gcs, gcd, system = data.get(GCS, ""), data.get(GCD, ""), data.get(SYSTEM)
    if type(gcs) is not str or type(gcd) is not str:
        return None
    if type(system) is dict and GCUT in <dict> system:
        return None
    for key in OUTRIGHT:
        if key in data:
            return None
    by_gcd = known.get(gcs)
    return None if by_gcd is None else (<dict?> by_gcd).get(gcd)
