"""APIs of the template engine that templates call most: they need no Python function between."""

from binascii import b2a_base64

from cpython.object cimport PyObject
from libc.math cimport floor, isnan
from msgspec import UNSET

from sgtm._fast.sandbox_convert cimport double_of, number, text_of, type_of
from sgtm._fast.sandbox_values cimport Callable, Run

from sgtm._fast.identifiers import sha256_hex

__all__ = ["FUNCTIONS", "Require", "hashed"]

cdef object UNDEFINED = UNSET


cdef inline object first(PyObject** args, Py_ssize_t count):
    return <object> args[0] if count else UNDEFINED


cdef class Require(Callable):
    cdef dict table
    cdef object refuse

    def __init__(self, table, refuse):
        self.name, self.table, self.refuse = "require", table, refuse

    cdef object invoke(self, Run run, PyObject** args, Py_ssize_t count):
        name = first(args, count)
        found = self.table.get(name) if type(name) is str else None
        run.charge(2)
        return self.refuse(name) if found is None else found


cdef class GetType(Callable):
    def __init__(self):
        self.name = "getType"

    cdef object invoke(self, Run run, PyObject** args, Py_ssize_t count):
        run.charge(1)
        value = first(args, count)
        if value is None:
            return "null"
        return "array" if type(value) is list else type_of(value)


cdef class MakeString(Callable):
    def __init__(self):
        self.name = "makeString"

    cdef object invoke(self, Run run, PyObject** args, Py_ssize_t count):
        run.charge(1)
        return text_of(run, first(args, count))


cdef class MakeNumber(Callable):
    def __init__(self):
        self.name = "makeNumber"

    cdef object invoke(self, Run run, PyObject** args, Py_ssize_t count):
        run.charge(1)
        return number(double_of(run, first(args, count)))


cdef class MakeInteger(Callable):
    def __init__(self):
        self.name = "makeInteger"

    cdef object invoke(self, Run run, PyObject** args, Py_ssize_t count):
        cdef double value = double_of(run, first(args, count))
        run.charge(1)
        # halves go up; beyond 2**52 there are none, and a half added would round
        if isnan(value):
            return 0
        if not -4503599627370496.0 < value < 4503599627370496.0:
            return number(value)
        return number(floor(value) + (1 if value - floor(value) >= 0.5 else 0))


def hashed(Run run, value, options):
    cdef str text = text_of(run, value), digest
    run.charge(4 + (len(text) >> 5))
    digest = sha256_hex(text if text.isascii() else text.encode("utf-8", "replace"))
    if type(options) is dict and (<dict> options).get("outputEncoding") == "hex":
        return digest
    return b2a_base64(bytes.fromhex(digest), newline=False).decode()


cdef class Sha256Sync(Callable):
    def __init__(self):
        self.name = "sha256Sync"

    cdef object invoke(self, Run run, PyObject** args, Py_ssize_t count):
        return hashed(run, first(args, count), <object> args[1] if count > 1 else UNDEFINED)


FUNCTIONS = {
    "getType": GetType(), "makeString": MakeString(), "makeNumber": MakeNumber(),
    "makeInteger": MakeInteger(), "sha256Sync": Sha256Sync(),
}
