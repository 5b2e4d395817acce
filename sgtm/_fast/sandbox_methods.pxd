# Methods of lists, objects and promises.

from sgtm._fast.sandbox_text cimport Method
from sgtm._fast.sandbox_values cimport Run


cdef Method array_method(str name) noexcept
cdef object call_method(Run run, object this, object key, list args)
