# A script as a tree of nodes; a run walks through it with one frame for each call.

from sgtm._fast.sandbox_values cimport Callable, Run


cdef class Frame:
    cdef Run run
    cdef list slots, arguments
    cdef tuple cells
    cdef object result


cdef class Cell:
    cdef object value


cdef class Node:
    cdef int at
    cdef object eval(self, Frame frame)
    cdef int execute(self, Frame frame) except -1
    cdef int assign(self, Frame frame, object value) except -1


cdef enum:
    NORMAL = 0
    BREAK = 1
    CONTINUE = 2
    RETURN = 3
