# A script as a tree of nodes; a run walks through it with one frame for each call.

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

from sgtm._fast.sandbox_values cimport Run

cdef extern from *:
    """
    #define sgtm_items(list) (((PyListObject*) (list))->ob_item)
    #define sgtm_parts(tuple) (((PyTupleObject*) (tuple))->ob_item)
    #define sgtm_owned(pointer) (pointer)
    #define sgtm_have(object, count) Py_SET_REFCNT((object), Py_REFCNT(object) + (count))
    """
    PyObject** sgtm_items(PyObject*)        # what a list holds
    PyObject** sgtm_parts(object)           # what a tuple holds
    object sgtm_owned(PyObject*)            # a reference that is ours; NULL: an error is set
    void sgtm_have(object, Py_ssize_t)      # that many references more


# What one call has. `slots` are the variables that no inner function uses, `scope` the others (below).
cdef struct Frame:
    PyObject* run
    PyObject** slots
    PyObject* scope
    PyObject* arguments
    PyObject* result


cdef enum:
    NORMAL = 0
    BREAK = 1
    CONTINUE = 2
    RETURN = 3


cdef class Node:
    cdef int at
    cdef object eval(self, Frame* frame)
    cdef int test(self, Frame* frame) except -1
    cdef int execute(self, Frame* frame) except -1
    cdef int assign(self, Frame* frame, object value) except -1


cdef dict KINDS


# -- scopes ------------------------------------------------------------------------------------------------
# Variables that inner functions use stand in a list: the scope around it (or None), then the variables. A
# function keeps the scope in which it was made, and finds a variable so many scopes further out.


cdef inline PyObject* scope_at(Frame* frame, int level) noexcept:
    cdef PyObject* scope = frame.scope
    while level:
        scope = sgtm_items(scope)[0]
        level -= 1
    return scope


cdef inline void put(PyObject** place, object value) noexcept:
    cdef PyObject* old = place[0]
    Py_INCREF(value)
    place[0] = <PyObject*> value
    Py_DECREF(<object> old)


cdef PyObject* new_scope(PyObject* outer, Py_ssize_t count) except NULL
cdef int open_scope(Frame* frame, Py_ssize_t count) except -1
cdef int renew_scope(Frame* frame, Py_ssize_t count, bint is_copy) except -1
cdef void close_scope(Frame* frame) noexcept
