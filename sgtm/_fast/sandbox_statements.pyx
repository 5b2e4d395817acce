"""Statements of a script, as nodes: see `sandbox_nodes.pyx`.

`size`: of the scope that a block opens, for variables of a loop that inner functions use; 0: it opens none.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from msgspec import UNSET

from sgtm._fast.sandbox_convert cimport same
from sgtm._fast.sandbox_nodes cimport (
    BREAK, CONTINUE, KINDS, NORMAL, RETURN, Frame, Node, close_scope, open_scope, renew_scope, sgtm_parts,
)
from sgtm._fast.sandbox_values cimport Opaque, Run, spend

from sgtm._fast.sandbox_values import ScriptError

__all__ = []

cdef object UNDEFINED = UNSET


cdef class Block(Node):
    # `functions` are there from the start.
    cdef tuple kept
    cdef PyObject** statements
    cdef Py_ssize_t size, count
    cdef list functions
    cdef bint has_functions

    def __init__(self, size, functions, statements):
        self.size, self.functions, self.has_functions = size, functions, bool(functions)
        self.kept, self.count = tuple(statements), len(statements)
        self.statements = sgtm_parts(self.kept)

    cdef int execute(self, Frame* frame) except -1:
        cdef int status
        if self.size:
            open_scope(frame, self.size)
            status = self.inside(frame)
            close_scope(frame)
            return status
        return self.inside(frame)

    cdef inline int inside(self, Frame* frame) except -1:
        cdef int status
        cdef Py_ssize_t index
        if self.has_functions:
            for node in self.functions:
                (<Node> node).execute(frame)
        for index in range(self.count):
            (<Run> frame.run).at = (<Node> self.statements[index]).at
            spend(<Run> frame.run, 1)
            status = (<Node> self.statements[index]).execute(frame)
            if status != NORMAL:
                return status
        return NORMAL


cdef class If(Node):
    # cases: test, statement, test, statement, ...
    cdef tuple kept
    cdef PyObject** cases
    cdef Py_ssize_t count
    cdef Node otherwise

    def __init__(self, cases, otherwise):
        self.kept, self.count = tuple([part for case in cases for part in case]), 2 * len(cases)
        self.cases, self.otherwise = sgtm_parts(self.kept), otherwise

    cdef int execute(self, Frame* frame) except -1:
        cdef Py_ssize_t index
        for index in range(0, self.count, 2):
            if (<Node> self.cases[index]).test(frame):
                return (<Node> self.cases[index + 1]).execute(frame)
        return NORMAL if self.otherwise is None else self.otherwise.execute(frame)


cdef class Return(Node):
    cdef Node value

    def __init__(self, value):
        self.value = value

    cdef int execute(self, Frame* frame) except -1:
        cdef PyObject* old = frame.result
        value = UNDEFINED if self.value is None else self.value.eval(frame)
        Py_INCREF(value)
        old, frame.result = frame.result, <PyObject*> value
        Py_XDECREF(old)
        return RETURN


cdef class Leave(Node):
    cdef int status

    def __init__(self, is_continue):
        self.status = CONTINUE if is_continue else BREAK

    cdef int execute(self, Frame* frame) except -1:
        return self.status


cdef class Empty(Node):
    cdef int execute(self, Frame* frame) except -1:
        return NORMAL


cdef class Loop(Node):
    # A loop has a scope of its own where inner functions use variables of its head.
    cdef Py_ssize_t size

    cdef int execute(self, Frame* frame) except -1:
        cdef int status
        if not self.size:
            return self.inside(frame)
        open_scope(frame, self.size)
        status = self.inside(frame)
        close_scope(frame)
        return status

    cdef int inside(self, Frame* frame) except -1:
        raise NotImplementedError


cdef class For(Loop):
    # for, while, do-while. Variables of the head that inner functions use are copied for each turn.
    cdef Node first, next_test, step, body
    cdef bint body_first

    def __init__(self, first, test, step, body, size, body_first):
        self.first, self.next_test, self.step, self.body = first, test, step, body
        self.size, self.body_first = size, body_first

    cdef int inside(self, Frame* frame) except -1:
        cdef int status
        cdef bint is_unasked = self.body_first
        if self.first is not None:
            self.first.execute(frame)
        while is_unasked or self.next_test is None or self.next_test.test(frame):
            is_unasked = False
            spend(<Run> frame.run, 1)
            status = self.body.execute(frame)
            if status == BREAK:
                break
            if status == RETURN:
                return status
            if self.size:
                renew_scope(frame, self.size, True)
            if self.step is not None:
                self.step.execute(frame)
        return NORMAL


cdef class ForEach(Loop):
    # for-in and for-of.
    cdef Node target, values, body
    cdef bint is_of

    def __init__(self, target, values, body, size, is_of):
        self.target, self.values, self.body, self.size, self.is_of = target, values, body, size, is_of

    cdef int inside(self, Frame* frame) except -1:
        cdef Py_ssize_t index = 0
        cdef int status
        cdef Run run = <Run> frame.run
        values = self.values.eval(frame)
        run.at = self.at
        cdef object turns = iterated(values) if self.is_of else names(run, values)
        while index < len(turns):
            value = turns[index]
            index += 1
            if not self.is_of and type(values) is dict and value not in <dict> values:
                continue
            spend(run, 1)
            if self.size:
                renew_scope(frame, self.size, False)
            self.target.assign(frame, value)
            status = self.body.execute(frame)
            if status == BREAK:
                break
            if status == RETURN:
                return status
        return NORMAL


cdef object iterated(object values):
    if type(values) is not list and type(values) is not str:
        raise ScriptError("the value is not iterable")
    return values


cdef list names(Run run, object values):
    # What for-in goes through: keys as they were put in, positions of a list as texts.
    if type(values) is dict:
        run.make_elements(len(<dict> values))
        return list(<dict> values)
    if type(values) is list:
        run.make_elements(len(<list> values))
        return [str(index) for index in range(len(<list> values))]
    if type(values) is str:
        run.make_elements(len(<str> values))
        return list(range(len(<str> values)))
    return []


cdef class Switch(Node):
    cdef Node value
    cdef list tests, statements, functions
    cdef Py_ssize_t size

    def __init__(self, value, tests, statements, size, functions):
        # tests: (node or None for default, place in `statements` where its part begins)
        self.value, self.tests, self.statements = value, tests, statements
        self.size, self.functions = size, functions

    cdef int execute(self, Frame* frame) except -1:
        cdef int status
        value = self.value.eval(frame)
        if not self.size:
            return self.inside(frame, value)
        open_scope(frame, self.size)
        status = self.inside(frame, value)
        close_scope(frame)
        return status

    cdef int inside(self, Frame* frame, object value) except -1:
        cdef Py_ssize_t place
        cdef int status
        cdef Run run = <Run> frame.run
        for node in self.functions:
            (<Node> node).execute(frame)
        for place in range(self.begin(frame, value), len(self.statements)):
            node = self.statements[place]
            run.at = (<Node> node).at
            spend(run, 1)
            status = (<Node> node).execute(frame)
            if status == BREAK:
                return NORMAL
            if status != NORMAL:
                return status
        return NORMAL

    cdef Py_ssize_t begin(self, Frame* frame, object value) except -1:
        cdef Py_ssize_t place, begin = len(self.statements)
        for test, place in self.tests:
            if test is None:
                begin = place
            elif same((<Node> test).eval(frame), value):
                return place
        return begin


cdef class Try(Node):
    cdef Node body, caught, handler, last
    cdef Py_ssize_t size

    def __init__(self, body, caught, size, handler, last):
        self.body, self.caught, self.size, self.handler, self.last = body, caught, size, handler, last

    cdef int execute(self, Frame* frame) except -1:
        cdef int status, last
        cdef int depth = (<Run> frame.run).depth, nesting = (<Run> frame.run).nesting
        cdef PyObject* result
        scope = None if frame.scope == NULL else <object> frame.scope
        try:
            status = self.tried(frame)
        except ScriptError:
            if self.last is None:
                raise
            recover(frame, depth, nesting, scope)
            status = self.last.execute(frame)
            if status != NORMAL:
                return status
            raise
        if self.last is not None:
            value = None if frame.result == NULL else <object> frame.result
            result = frame.result
            last = self.last.execute(frame)
            if last != NORMAL:
                return last
            if result != NULL:
                Py_INCREF(value)
                result, frame.result = frame.result, <PyObject*> value
                Py_XDECREF(result)
        return status

    cdef int tried(self, Frame* frame) except -1:
        cdef int depth = (<Run> frame.run).depth, nesting = (<Run> frame.run).nesting
        if self.handler is None:
            return self.body.execute(frame)
        scope = None if frame.scope == NULL else <object> frame.scope
        try:
            return self.body.execute(frame)
        except ScriptError as error:
            recover(frame, depth, nesting, scope)
            return self.handled(frame, str(error))

    cdef int handled(self, Frame* frame, str text) except -1:
        cdef int status
        if self.size:
            open_scope(frame, self.size)
        if self.caught is not None:
            self.caught.assign(frame, Opaque(text))
        status = self.handler.execute(frame)
        if self.size:
            close_scope(frame)
        return status


cdef int recover(Frame* frame, int depth, int nesting, object scope) except -1:
    # An error has left calls and blocks open.
    cdef PyObject* old = frame.scope
    (<Run> frame.run).depth, (<Run> frame.run).nesting = depth, nesting
    if scope is not None:
        Py_INCREF(scope)
    frame.scope = NULL if scope is None else <PyObject*> scope
    Py_XDECREF(old)
    return 0


KINDS.update({kind.__name__: kind for kind in (
    Block, If, Return, Leave, Empty, For, ForEach, Switch, Try,
)})
