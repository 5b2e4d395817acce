# Methods of texts and numbers, and what all methods are.

from cpython.object cimport PyObject

from sgtm._fast.sandbox_values cimport Run

ctypedef object (*Method)(Run run, object this, PyObject** args, Py_ssize_t count)


cdef class _Entry:
    cdef Method method


cdef _Entry entry(Method method)
cdef Method string_method(str name) noexcept
cdef Py_ssize_t clamped(Run run, object value, Py_ssize_t length, Py_ssize_t missing) except -1
cdef object first(PyObject** args, Py_ssize_t count)
cdef object second(PyObject** args, Py_ssize_t count)
cdef object n_to_string(Run run, object this, PyObject** args, Py_ssize_t count)
