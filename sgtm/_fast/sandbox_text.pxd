# Methods of texts and numbers, and what all methods are.

from sgtm._fast.sandbox_values cimport Run

ctypedef object (*Method)(Run run, object this, list args)


cdef class _Entry:
    cdef Method method


cdef _Entry entry(Method method)
cdef Method string_method(str name) noexcept
cdef Py_ssize_t clamped(Run run, object value, Py_ssize_t length, Py_ssize_t missing) except -1
cdef object first(list args)
cdef object second(list args)
cdef object n_to_string(Run run, object this, list args)
