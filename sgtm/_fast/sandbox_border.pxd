# Values that cross the border of a script.

from sgtm._fast.sandbox_values cimport Run


cdef object entered(Run run, object value, int depth)
