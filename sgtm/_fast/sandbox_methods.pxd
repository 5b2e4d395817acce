# Methods of lists, objects and promises.

from cpython.object cimport PyObject

from sgtm._fast.sandbox_text cimport Method
from sgtm._fast.sandbox_values cimport Run


cdef Method array_method(str name) noexcept
cdef Method record_method(str name) noexcept
cdef object call_method(Run run, object this, object key, PyObject** args, Py_ssize_t count)
