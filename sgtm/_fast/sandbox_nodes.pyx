"""Expressions of a script, as nodes. `make_expression` makes each; statements stand in
`sandbox_statements.pyx`. `at` is a node's place in the source."""

cimport cython
from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_FromLongLong
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from msgspec import UNSET

from sgtm._fast.sandbox_methods cimport array_method, call_method
from sgtm._fast.sandbox_convert cimport (
    EQUAL, GREATER, LESS, LESS_OR_EQUAL, NOT_EQUAL, NOT_SAME, SAME, arithmetic, compare, double_of, key_of,
    loosely_same, member, number, operator_of, plus, same, set_member, truth, type_of, uint32_of,
)
from sgtm._fast.sandbox_text cimport Method, string_method
from sgtm._fast.sandbox_values cimport Callable, HostObject, spend
from sgtm._fast.sandbox_whole cimport of_whole

from sgtm._fast.sandbox_values import FatalError, ScriptError

__all__ = ["Node", "make_expression"]

cdef object UNDEFINED = UNSET


@cython.freelist(32)
cdef class Frame:
    pass


@cython.freelist(64)
cdef class Cell:
    # A variable that an inner function uses too.
    pass


cdef class Node:
    cdef object eval(self, Frame frame):
        raise NotImplementedError

    cdef int execute(self, Frame frame) except -1:
        self.eval(frame)
        return NORMAL

    cdef int assign(self, Frame frame, object value) except -1:
        raise NotImplementedError


cdef class Literal(Node):
    cdef object value

    def __init__(self, value):
        self.value = value

    cdef object eval(self, Frame frame):
        return self.value


# -- variables -----------------------------------------------------------------------------------------


cdef class Local(Node):
    cdef Py_ssize_t slot

    def __init__(self, slot):
        self.slot = slot

    cdef object eval(self, Frame frame):
        return frame.slots[self.slot]

    cdef int assign(self, Frame frame, object value) except -1:
        frame.slots[self.slot] = value
        return 0


cdef class LocalCell(Node):
    cdef Py_ssize_t slot

    def __init__(self, slot):
        self.slot = slot

    cdef object eval(self, Frame frame):
        cell = frame.slots[self.slot]
        return (<Cell> cell).value if type(cell) is Cell else UNDEFINED

    cdef int assign(self, Frame frame, object value) except -1:
        cell = frame.slots[self.slot]
        if type(cell) is not Cell:
            cell = frame.slots[self.slot] = Cell.__new__(Cell)
        (<Cell> cell).value = value
        return 0


cdef class Outer(Node):
    cdef Py_ssize_t index

    def __init__(self, index):
        self.index = index

    cdef object eval(self, Frame frame):
        return (<Cell> frame.cells[self.index]).value

    cdef int assign(self, Frame frame, object value) except -1:
        (<Cell> frame.cells[self.index]).value = value
        return 0


cdef class Arguments(Node):
    cdef object eval(self, Frame frame):
        return frame.arguments


cdef class Undeclared(Node):
    # Reads as undefined; cannot be assigned (google-runtime 5.3).
    cdef str name

    def __init__(self, name):
        self.name = name

    cdef object eval(self, Frame frame):
        return UNDEFINED

    cdef int assign(self, Frame frame, object value) except -1:
        frame.run.at = self.at
        raise FatalError(f"{self.name} is assigned but not declared")


cdef class Constant(Node):
    # A const, or a name of the host: assigning is silently ignored.
    cdef Node variable

    def __init__(self, variable):
        self.variable = variable

    cdef object eval(self, Frame frame):
        return self.variable.eval(frame)

    cdef int assign(self, Frame frame, object value) except -1:
        return 0


cdef class Assign(Node):
    cdef Node target, value

    def __init__(self, target, value):
        self.target, self.value = target, value

    cdef object eval(self, Frame frame):
        value = self.value.eval(frame)
        self.target.assign(frame, value)
        return value


cdef class Change(Node):
    # `x += e`, `++x`, `x++`, of a variable.
    cdef Node target, value
    cdef int operator
    cdef bint is_postfix

    def __init__(self, target, operator, value, is_postfix):
        self.target, self.value = target, value
        self.operator, self.is_postfix = operator_of(operator), is_postfix

    cdef object eval(self, Frame frame):
        return changed(self, frame, self.target.eval(frame), UNDEFINED, UNDEFINED)


cdef class ChangeMember(Change):
    cdef Node owner, key

    def __init__(self, owner, key, operator, value, is_postfix):
        self.owner, self.key, self.value = owner, key, value
        self.operator, self.is_postfix = operator_of(operator), is_postfix

    cdef object eval(self, Frame frame):
        owner, key = self.owner.eval(frame), self.key.eval(frame)
        frame.run.at = self.at
        return changed(self, frame, member(frame.run, owner, key), owner, key)


cdef object changed(Change node, Frame frame, object old, object owner, object key):
    if node.value is None:
        if type(old) is not int:
            old = number(double_of(frame.run, old))
        new = arithmetic(frame.run, node.operator, old, 1)
    else:
        new = arithmetic(frame.run, node.operator, old, node.value.eval(frame))
    if node.target is not None:
        node.target.assign(frame, new)
    else:
        frame.run.at = node.at
        set_member(frame.run, owner, key, new)
    return old if node.is_postfix else new


# -- operators -----------------------------------------------------------------------------------------

cdef class Sum(Node):
    # `a + b + c`, from left to right.
    cdef list parts

    def __init__(self, parts):
        self.parts = parts

    cdef object eval(self, Frame frame):
        cdef Py_ssize_t index
        total = (<Node> self.parts[0]).eval(frame)
        for index in range(1, len(self.parts)):
            total = plus(frame.run, total, (<Node> self.parts[index]).eval(frame))
        return total


cdef class Binary(Node):
    cdef Node left, right
    cdef int operator

    def __init__(self, operator, left, right):
        self.operator, self.left, self.right = operator_of(operator), left, right

    cdef object eval(self, Frame frame):
        cdef int order
        left = self.left.eval(frame)
        right = self.right.eval(frame)
        # PERF: two small whole numbers are most of what is compared and calculated
        if type(left) is int and type(right) is int:
            result = of_whole(self.operator, left, right)
            if result is not None:
                return result
        if self.operator == SAME:
            return same(left, right)
        if self.operator == NOT_SAME:
            return not same(left, right)
        if self.operator < SAME:
            return arithmetic(frame.run, self.operator, left, right)
        if self.operator == EQUAL:
            return loosely_same(frame.run, left, right)
        if self.operator == NOT_EQUAL:
            return not loosely_same(frame.run, left, right)
        order = compare(frame.run, left, right)
        if self.operator == LESS:
            return order == -1
        if self.operator == LESS_OR_EQUAL:
            return order == -1 or order == 0
        if self.operator == GREATER:
            return order == 1
        return order == 1 or order == 0


cdef class Logical(Node):
    # `a && b && c` or `a || b || c`.
    cdef list parts
    cdef bint is_or

    def __init__(self, is_or, parts):
        self.is_or, self.parts = is_or, parts

    cdef object eval(self, Frame frame):
        value = UNDEFINED
        for part in self.parts:
            value = (<Node> part).eval(frame)
            if truth(value) == self.is_or:
                return value
        return value


cdef class Unary(Node):
    cdef Node value
    cdef int code

    def __init__(self, operator, value):
        self.code, self.value = ("!", "-", "+", "~", "typeof").index(operator), value

    cdef object eval(self, Frame frame):
        value = self.value.eval(frame)
        if self.code == 0:
            return not truth(value)
        if self.code == 1:
            return number(-double_of(frame.run, value))
        if self.code == 2:
            return number(double_of(frame.run, value))
        if self.code == 3:
            return PyLong_FromLongLong(<int> ~uint32_of(frame.run, value))
        return type_of(value)


cdef class Conditional(Node):
    # `a ? b : c ? d : e`
    cdef list cases
    cdef Node otherwise

    def __init__(self, cases, otherwise):
        self.cases, self.otherwise = cases, otherwise

    cdef object eval(self, Frame frame):
        for test, value in self.cases:
            if truth((<Node> test).eval(frame)):
                return (<Node> value).eval(frame)
        return self.otherwise.eval(frame)


cdef class Sequence(Node):
    cdef list parts

    def __init__(self, parts):
        self.parts = parts

    cdef object eval(self, Frame frame):
        value = UNDEFINED
        for part in self.parts:
            value = (<Node> part).eval(frame)
        return value


# -- lists, objects, members -----------------------------------------------------------------------------


cdef list values_of(list parts, Frame frame):
    # PERF: each call makes such a list; it is as long as it gets from the start
    cdef Py_ssize_t index, count = PyList_GET_SIZE(parts)
    cdef list values = PyList_New(count)
    for index in range(count):
        value = (<Node> PyList_GET_ITEM(parts, index)).eval(frame)
        Py_INCREF(value)
        PyList_SET_ITEM(values, index, value)
    return values


cdef class ListOf(Node):
    cdef list parts

    def __init__(self, parts):
        self.parts = parts

    cdef object eval(self, Frame frame):
        frame.run.make_elements(len(self.parts))
        return values_of(self.parts, frame)


cdef class ObjectOf(Node):
    cdef list keys, parts

    def __init__(self, keys, parts):
        self.keys, self.parts = keys, parts

    cdef object eval(self, Frame frame):
        cdef dict record = {}
        cdef Py_ssize_t index
        frame.run.make_elements(len(self.parts))
        for index in range(len(self.parts)):
            record[self.keys[index]] = (<Node> self.parts[index]).eval(frame)
        return record


cdef class Member(Node):
    cdef Node owner, key

    def __init__(self, owner, key):
        self.owner, self.key = owner, key

    cdef object eval(self, Frame frame):
        owner, key = self.owner.eval(frame), self.key.eval(frame)
        frame.run.at = self.at
        return member(frame.run, owner, key)


cdef class NamedMember(Node):
    cdef Node owner
    cdef str name

    def __init__(self, owner, name):
        self.owner, self.name = owner, name

    cdef object eval(self, Frame frame):
        cdef PyObject* found
        owner = self.owner.eval(frame)
        if type(owner) is dict:
            found = PyDict_GetItemWithError(owner, self.name)
            return UNDEFINED if found == NULL else <object> found
        frame.run.at = self.at
        return member(frame.run, owner, self.name)


cdef class SetMember(Node):
    cdef Node owner, key, value

    def __init__(self, owner, key, value):
        self.owner, self.key, self.value = owner, key, value

    cdef object eval(self, Frame frame):
        owner, key = self.owner.eval(frame), self.key.eval(frame)
        value = self.value.eval(frame)
        frame.run.at = self.at
        set_member(frame.run, owner, key, value)
        return value


# -- calls ---------------------------------------------------------------------------------------------------


cdef class Call(Node):
    cdef Node function
    cdef list parts
    cdef str text

    def __init__(self, function, parts, text):
        self.function, self.parts, self.text = function, parts, text

    cdef object eval(self, Frame frame):
        function = self.function.eval(frame)
        cdef list args = values_of(self.parts, frame)
        frame.run.at = self.at
        if not isinstance(function, Callable):
            raise ScriptError(f"{self.text} is not a function")
        return (<Callable> function).call(frame.run, args)


cdef class CallMember(Node):
    cdef Node owner, key
    cdef list parts
    cdef str text, name
    cdef Method of_text, of_list

    def __init__(self, owner, key, name, parts, text):
        self.owner, self.key, self.name, self.parts, self.text = owner, key, name, parts, text
        self.of_text = self.of_list = NULL
        if name is not None:
            self.of_text, self.of_list = string_method(name), array_method(name)

    cdef object eval(self, Frame frame):
        cdef list args
        owner = self.owner.eval(frame)
        key = self.name if self.name is not None else self.key.eval(frame)
        args = values_of(self.parts, frame)
        frame.run.at = self.at
        spend(frame.run, 1)
        if type(owner) is str and self.of_text != NULL:
            return self.of_text(frame.run, owner, args)
        if type(owner) is list and self.of_list != NULL:
            return self.of_list(frame.run, owner, args)
        if type(owner) is dict or type(owner) is HostObject:
            function = (<dict> owner if type(owner) is dict else (<HostObject> owner).members).get(
                key_of(frame.run, key))
            if isinstance(function, Callable):
                return (<Callable> function).call(frame.run, args)
        try:
            return call_method(frame.run, owner, key, args)
        except ScriptError as error:
            if str(error) == f"{key_of(frame.run, key):.60} is not a function":
                raise ScriptError(f"{self.text} is not a function") from None
            raise


cdef dict KINDS = {kind.__name__: kind for kind in (
    Literal, Local, LocalCell, Outer, Arguments, Undeclared, Constant, Assign, Change, ChangeMember, Sum,
    Binary, Logical, Unary, Conditional, Sequence, ListOf, ObjectOf, Member, NamedMember, SetMember, Call,
    CallMember,
)}


def make_expression(kind, at, *parts):
    cdef Node node = KINDS[kind](*parts)
    node.at = at
    return node
