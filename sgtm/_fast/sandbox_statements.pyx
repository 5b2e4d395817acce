"""Statements and functions of a script, as nodes; `make_statement` makes each."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from msgspec import UNSET

from sgtm._fast.sandbox_convert cimport same, truth
from sgtm._fast.sandbox_nodes cimport BREAK, CONTINUE, NORMAL, RETURN, Cell, Frame, Node
from sgtm._fast.sandbox_values cimport Callable, Opaque, Run, spend

from sgtm._fast.sandbox_values import LimitError, ScriptError

__all__ = ["Code", "Function", "make_statement", "start"]

cdef object UNDEFINED = UNSET


cdef Cell new_cell(object value):
    cdef Cell cell = Cell.__new__(Cell)
    cell.value = value
    return cell


cdef int open_cells(Frame frame, list cells) except -1:
    # Fresh variables for each turn and each entry, so that inner functions keep those of their own turn.
    for slot in cells:
        frame.slots[<Py_ssize_t> slot] = new_cell(UNDEFINED)
    return 0


# -- functions ---------------------------------------------------------------------------------------------


cdef class Code:
    """A function as compiled: what is the same for all of its closures."""

    cdef str name
    cdef Py_ssize_t parameters
    cdef list blank, cells
    cdef Node body
    cdef bint uses_arguments, is_expression
    cdef int nesting

    def __init__(self, name, parameters, slots, cells, uses_arguments, nesting):
        self.name, self.parameters, self.cells = name, parameters, cells
        self.blank, self.uses_arguments, self.nesting = [UNDEFINED] * slots, uses_arguments, nesting

    def finish(self, Node body, bint is_expression):
        """Set the body: a function may contain itself."""
        self.body, self.is_expression = body, is_expression


cdef class Function(Callable):
    """A function of a script, with the outer variables that it uses."""

    cdef Code code
    cdef tuple cells

    cdef object call(self, Run run, list args):
        cdef Code code = self.code
        cdef Frame frame = Frame.__new__(Frame)
        cdef Py_ssize_t index
        spend(run, 1)
        run.depth -= 1
        run.nesting -= code.nesting
        if run.depth < 0 or run.nesting < 0:
            raise LimitError("call_depth", "functions call one another too deeply")
        frame.run, frame.slots, frame.cells, frame.result = run, code.blank[:], self.cells, UNDEFINED
        for index in range(min(code.parameters, len(args))):
            frame.slots[index] = args[index]
        if code.uses_arguments:
            frame.arguments = list(args)
        for slot in code.cells:
            index = slot
            frame.slots[index] = new_cell(frame.slots[index])
        if code.is_expression:
            result = code.body.eval(frame)
        else:
            code.body.execute(frame)
            result = frame.result
        run.depth += 1
        run.nesting += code.nesting
        return result


cdef Function closure(Code code, tuple cells):
    cdef Function function = Function.__new__(Function)
    function.name, function.code, function.cells = code.name, code, cells
    return function


cdef class FunctionOf(Node):
    # `own`: the slot of the name that a function expression has inside itself, or -1.
    cdef Code code
    cdef Py_ssize_t count, own
    cdef Py_ssize_t* captured   # a slot of the frame, or -1 - the place among its outer variables

    def __cinit__(self):
        self.captured = NULL

    def __init__(self, code, captured, own):
        cdef Py_ssize_t index
        self.code, self.own, self.count = code, own, len(captured)
        self.captured = <Py_ssize_t*> PyMem_Malloc(max(1, self.count) * sizeof(Py_ssize_t))
        if self.captured == NULL:
            raise MemoryError
        for index, (is_local, place) in enumerate(captured):
            self.captured[index] = place if is_local else -1 - place

    def __dealloc__(self):
        PyMem_Free(self.captured)

    cdef tuple cells(self, Frame frame):
        cdef list cells = []
        cdef Py_ssize_t index, place
        for index in range(self.count):
            place = self.captured[index]
            cell = frame.slots[place] if place >= 0 else frame.cells[-1 - place]
            if type(cell) is not Cell:  # its scope is not entered yet: `for (const x of [() => x])`
                cell = frame.slots[place] = new_cell(UNDEFINED)
            cells.append(cell)
        return tuple(cells)

    cdef object eval(self, Frame frame):
        spend(frame.run, 1)
        if self.own < 0:
            return closure(self.code, self.cells(frame))
        cell = frame.slots[self.own] = new_cell(UNDEFINED)
        (<Cell> cell).value = function = closure(self.code, self.cells(frame))
        return function


# -- statements --------------------------------------------------------------------------------------------


cdef class Block(Node):
    cdef list cells, functions, statements

    def __init__(self, cells, functions, statements):
        self.cells, self.functions, self.statements = cells, functions, statements

    cdef int execute(self, Frame frame) except -1:
        cdef int status
        cdef Node node
        if self.cells:
            open_cells(frame, self.cells)
        for node in self.functions:
            node.eval(frame)
        for node in self.statements:
            frame.run.at = node.at
            spend(frame.run, 1)
            status = node.execute(frame)
            if status != NORMAL:
                return status
        return NORMAL


cdef class If(Node):
    cdef list cases
    cdef Node otherwise

    def __init__(self, cases, otherwise):
        self.cases, self.otherwise = cases, otherwise

    cdef int execute(self, Frame frame) except -1:
        for test, node in self.cases:
            if truth((<Node> test).eval(frame)):
                return (<Node> node).execute(frame)
        return NORMAL if self.otherwise is None else self.otherwise.execute(frame)


cdef class Return(Node):
    cdef Node value

    def __init__(self, value):
        self.value = value

    cdef int execute(self, Frame frame) except -1:
        if self.value is not None:
            frame.result = self.value.eval(frame)
        else:
            frame.result = UNDEFINED
        return RETURN


cdef class Leave(Node):
    cdef int status

    def __init__(self, is_continue):
        self.status = CONTINUE if is_continue else BREAK

    cdef int execute(self, Frame frame) except -1:
        return self.status


cdef class Empty(Node):
    cdef int execute(self, Frame frame) except -1:
        return NORMAL


cdef class For(Node):
    # for, while, do-while. `cells`: variables of the head that get a fresh copy for each turn.
    cdef Node first, test, step, body
    cdef list cells
    cdef bint body_first

    def __init__(self, first, test, step, body, cells, body_first):
        self.first, self.test, self.step, self.body = first, test, step, body
        self.cells, self.body_first = cells, body_first

    cdef int execute(self, Frame frame) except -1:
        cdef int status
        cdef bint is_unasked = self.body_first
        open_cells(frame, self.cells)
        if self.first is not None:
            self.first.execute(frame)
        while is_unasked or self.test is None or truth(self.test.eval(frame)):
            is_unasked = False
            spend(frame.run, 1)
            status = self.body.execute(frame)
            if status == BREAK:
                break
            if status == RETURN:
                return status
            for slot in self.cells:
                frame.slots[<Py_ssize_t> slot] = new_cell((<Cell?> frame.slots[<Py_ssize_t> slot]).value)
            if self.step is not None:
                self.step.eval(frame)
        return NORMAL


cdef class ForEach(Node):
    # for-in and for-of.
    cdef Node target, values, body
    cdef list cells
    cdef bint is_of

    def __init__(self, target, values, body, cells, is_of):
        self.target, self.values, self.body, self.cells, self.is_of = target, values, body, cells, is_of

    cdef int execute(self, Frame frame) except -1:
        cdef Py_ssize_t index = 0
        values = self.values.eval(frame)
        frame.run.at = self.at
        cdef object turns = self.members(frame.run, values) if self.is_of else names(frame.run, values)
        while index < len(turns):
            value = turns[index]
            index += 1
            if not self.is_of and type(values) is dict and value not in <dict> values:
                continue
            spend(frame.run, 1)
            open_cells(frame, self.cells)
            self.target.assign(frame, value)
            status = self.body.execute(frame)
            if status == BREAK:
                break
            if status == RETURN:
                return status
        return NORMAL

    cdef object members(self, Run run, object values):
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
    cdef list tests, statements, cells, functions

    def __init__(self, value, tests, statements, cells, functions):
        # tests: (node or None for default, place in `statements` where its part begins)
        self.value, self.tests, self.statements = value, tests, statements
        self.cells, self.functions = cells, functions

    cdef int execute(self, Frame frame) except -1:
        cdef Py_ssize_t place, begin = len(self.statements)
        cdef int status
        cdef Node node
        value = self.value.eval(frame)
        open_cells(frame, self.cells)
        for node in self.functions:
            node.eval(frame)
        for test, place in self.tests:
            if test is None:
                begin = place
        for test, place in self.tests:
            if test is not None and same((<Node> test).eval(frame), value):
                begin = place
                break
        for place in range(begin, len(self.statements)):
            node = self.statements[place]
            frame.run.at = node.at
            spend(frame.run, 1)
            status = node.execute(frame)
            if status == BREAK:
                return NORMAL
            if status != NORMAL:
                return status
        return NORMAL


cdef class Try(Node):
    cdef Node body, caught, handler, last
    cdef list cells

    def __init__(self, body, caught, cells, handler, last):
        self.body, self.caught, self.cells, self.handler, self.last = body, caught, cells, handler, last

    cdef int execute(self, Frame frame) except -1:
        cdef int status, last
        cdef int depth = frame.run.depth, nesting = frame.run.nesting
        try:
            status = self.tried(frame)
        except ScriptError:
            if self.last is None:
                raise
            frame.run.depth, frame.run.nesting = depth, nesting
            status = self.last.execute(frame)
            if status != NORMAL:
                return status
            raise
        if self.last is not None:
            result = frame.result
            last = self.last.execute(frame)
            if last != NORMAL:
                return last
            frame.result = result
        return status

    cdef int tried(self, Frame frame) except -1:
        cdef int depth = frame.run.depth, nesting = frame.run.nesting
        if self.handler is None:
            return self.body.execute(frame)
        try:
            return self.body.execute(frame)
        except ScriptError as error:
            frame.run.depth, frame.run.nesting = depth, nesting
            open_cells(frame, self.cells)
            if self.caught is not None:
                self.caught.assign(frame, Opaque(str(error)))
            return self.handler.execute(frame)


cdef dict KINDS = {kind.__name__: kind for kind in (
    FunctionOf, Block, If, Return, Leave, Empty, For, ForEach, Switch, Try,
)}


def make_statement(kind, at, *parts):
    cdef Node node = KINDS[kind](*parts)
    node.at = at
    return node


def start(Code code):
    return closure(code, ())
