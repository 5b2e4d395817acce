# What compiled APIs share: the permission that a call needs, and what is remembered of earlier calls.

from sgtm._fast.sandbox_values cimport Callable, Run


cdef class Memory:
    cdef dict kinds
    cdef object recall(self, str kind, object key)
    cdef int keep(self, str kind, object key, object value, Py_ssize_t size) except -1


cdef class Guarded(Callable):
    cdef object demand
    cdef int cost
    cdef int begin(self, Run run, list args) except -1
    cdef int ask(self, Run run, str permission, str part, str text, str shown) except -1


cdef object first(list args)
cdef object argument(list args, Py_ssize_t index)
cdef str encoded_for(str text, int safe, str errors)
