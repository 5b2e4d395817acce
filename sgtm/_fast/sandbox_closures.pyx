"""Functions of a script: how they are called, and what of their variables outlives a call."""

cimport cython
from cpython.list cimport PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from msgspec import UNSET

from sgtm._fast.sandbox_nodes cimport KINDS, Frame, Node, new_scope, put, sgtm_have, sgtm_items, sgtm_owned
from sgtm._fast.sandbox_values cimport Callable, Run, listed, spend

from sgtm._fast.sandbox_values import LimitError

__all__ = ["Code", "Function", "start"]

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject*)

ctypedef PyObject* (*Raw)(PyObject*, Frame*, PyObject**, Py_ssize_t) noexcept

cdef object UNDEFINED = UNSET
cdef enum:
    ROOM = 16       # variables of a call that need no memory of their own
    KNOTS = 64      # scopes that are untied at the end of a run, at most


cdef class Code:
    """A function as compiled: what is the same for all of its closures."""

    cdef str name
    cdef Py_ssize_t parameters, slots, size
    cdef list moved
    cdef Node body
    cdef bint uses_arguments, is_expression
    cdef int nesting

    def __init__(self, name, parameters, slots, size, moved, uses_arguments, nesting):
        # size: of its scope; moved: (slot, place in the scope) of parameters that inner functions use
        self.name, self.parameters, self.slots, self.size, self.moved = name, parameters, slots, size, moved
        self.uses_arguments, self.nesting = uses_arguments, nesting

    def finish(self, Node body, bint is_expression):
        """Set the body: a function may contain itself."""
        self.body, self.is_expression = body, is_expression


@cython.final
cdef class Function(Callable):
    """A function of a script, with the scope in which it was made."""

    cdef object invoke(self, Run run, PyObject** args, Py_ssize_t count):
        cdef PyObject* few[ROOM]
        cdef PyObject* result
        cdef Code code = <Code> self.code
        cdef Py_ssize_t index
        cdef Frame frame
        spend(run, 1)
        run.depth -= 1
        run.nesting -= code.nesting
        if run.depth < 0 or run.nesting < 0:
            raise LimitError("call_depth", "functions call one another too deeply")
        frame.slots = few
        if code.slots > ROOM:
            frame.slots = <PyObject**> PyMem_Malloc(code.slots * sizeof(PyObject*))
            if frame.slots == NULL:
                raise MemoryError
        frame.run, frame.arguments, frame.result = <PyObject*> run, NULL, NULL
        frame.scope = NULL if self.scope is None else <PyObject*> self.scope
        if frame.scope != NULL:
            Py_INCREF(self.scope)
        cdef Py_ssize_t given = min(code.parameters, count)
        for index in range(given):
            frame.slots[index] = args[index]
            Py_INCREF(<object> args[index])
        for index in range(given, code.slots):
            frame.slots[index] = <PyObject*> UNDEFINED
        sgtm_have(UNDEFINED, code.slots - given)
        result = (<Raw> <void*> ran)(<PyObject*> code, &frame, args, count)
        # from here on nothing raises: whatever came of it, all that the frame holds is let go
        for index in range(code.slots):
            Py_DECREF(<object> frame.slots[index])
        if frame.slots != few:
            PyMem_Free(frame.slots)
        Py_XDECREF(frame.arguments)
        Py_XDECREF(frame.result)
        if frame.scope != NULL:
            if code.size and result != NULL and Py_REFCNT(frame.scope) > 1:
                leave(run, frame.scope)
            Py_DECREF(<object> frame.scope)
        run.depth += 1
        run.nesting += code.nesting
        return sgtm_owned(result)


cdef object ran(PyObject* compiled, Frame* frame, PyObject** args, Py_ssize_t count):
    cdef Code code = <Code> compiled
    cdef Py_ssize_t index, place
    cdef PyObject* scope
    if code.uses_arguments:
        arguments = listed(args, count)
        Py_INCREF(arguments)
        frame.arguments = <PyObject*> arguments
    if code.size:
        scope = new_scope(frame.scope, code.size)
        Py_XDECREF(frame.scope)
        frame.scope = scope
        for index, place in code.moved:
            put(&sgtm_items(scope)[place], <object> frame.slots[index])
    if code.is_expression:
        return code.body.eval(frame)
    code.body.execute(frame)
    return UNDEFINED if frame.result == NULL else <object> frame.result


# -- scopes that are left ------------------------------------------------------------------------
# A scope that holds a function which was made in it is a cycle. PERF: where nobody else has a part in it,
# it is undone at the end of the call or of the run, so that Python's collector has nothing to do with runs.


cdef bint untie(PyObject* scope) noexcept:
    # Whether there is a cycle that is left as it is.
    cdef PyObject** items = sgtm_items(scope)
    cdef Py_ssize_t index, inner = 0
    for index in range(1, PyList_GET_SIZE(<object> scope)):
        if type(<object> items[index]) is Function and Py_REFCNT(items[index]) == 1:
            inner += <PyObject*> (<Function> items[index]).scope == scope
    if not inner or Py_REFCNT(scope) > inner + 1:
        return inner > 0
    for index in range(1, PyList_GET_SIZE(<object> scope)):
        put(&items[index], UNDEFINED)
    return False


cdef class _Knot:
    cdef list scope

    def __dealloc__(self):
        if self.scope is not None:
            untie(<PyObject*> self.scope)


cdef void leave(Run run, PyObject* scope) noexcept:
    cdef _Knot knot
    if not untie(scope):
        return
    if run.left is None:
        run.left = []
    if len(run.left) < KNOTS:
        knot = _Knot.__new__(_Knot)
        knot.scope = <list> scope
        run.left.insert(0, knot)  # inner ones are untied first


# -- the node that makes them ---------------------------------------------------------------------


cdef class FunctionOf(Node):
    # has_own: the function has its name inside itself, in a scope of its own.
    cdef Code code
    cdef bint uses_scope, has_own

    def __init__(self, code, uses_scope, has_own):
        self.code, self.uses_scope, self.has_own = code, uses_scope, has_own

    cdef object eval(self, Frame* frame):
        cdef Function function = Function.__new__(Function)
        cdef PyObject* scope
        spend(<Run> frame.run, 1)
        function.name, function.code = self.code.name, self.code
        if self.has_own:
            scope = new_scope(frame.scope, 1)
            put(&sgtm_items(scope)[1], function)
            function.scope = <list> scope
            Py_DECREF(<object> scope)
        elif self.uses_scope and frame.scope != NULL:
            function.scope = <list> frame.scope
        return function


def start(Code code):
    cdef Function function = Function.__new__(Function)
    function.name, function.code = code.name, code
    return function


KINDS["FunctionOf"] = FunctionOf
