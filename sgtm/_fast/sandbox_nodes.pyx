"""Variables and operators of a script, as nodes; `make_node` makes each. Members and calls stand in
`sandbox_members.pyx`, functions in `sandbox_closures.pyx`, statements in `sandbox_statements.pyx`. `at` is a
node's place in the source. SPEC: google-runtime 5.1.

A node gives a value by `eval`, only whether it is true by `test` (no object is made for that), and what
leaves a block by `execute`.
"""

from cpython.list cimport PyList_New
from cpython.long cimport PyLong_FromLongLong
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from msgspec import UNSET

from sgtm._fast.sandbox_convert cimport (
    EQUAL, GREATER, LESS, LESS_OR_EQUAL, NOT_EQUAL, SAME, arithmetic, compare, double_of, loosely_same,
    member, number, operator_of, plus, same, set_member, truth, type_of, uint32_of,
)
from sgtm._fast.sandbox_values cimport Run
from sgtm._fast.sandbox_whole cimport of_whole

from sgtm._fast.sandbox_values import FatalError

__all__ = ["Node", "make_node"]

cdef object UNDEFINED = UNSET


cdef class Node:
    cdef object eval(self, Frame* frame):
        raise NotImplementedError

    cdef int test(self, Frame* frame) except -1:
        return truth(self.eval(frame))

    cdef int execute(self, Frame* frame) except -1:
        self.eval(frame)
        return NORMAL

    cdef int assign(self, Frame* frame, object value) except -1:
        raise NotImplementedError


# -- scopes --------------------------------------------------------------------------------------------


cdef PyObject* new_scope(PyObject* outer, Py_ssize_t count) except NULL:
    cdef list scope = PyList_New(count + 1)
    cdef PyObject** items = sgtm_items(<PyObject*> scope)
    cdef Py_ssize_t index
    items[0] = outer if outer != NULL else <PyObject*> None
    Py_INCREF(<object> items[0])
    for index in range(1, count + 1):
        items[index] = <PyObject*> UNDEFINED
    sgtm_have(UNDEFINED, count)
    Py_INCREF(scope)
    return <PyObject*> scope


cdef int open_scope(Frame* frame, Py_ssize_t count) except -1:
    # Fresh variables for each turn and each entry, so that inner functions keep those of their own turn.
    cdef PyObject* scope = new_scope(frame.scope, count)
    Py_XDECREF(frame.scope)
    frame.scope = scope
    return 0


cdef int renew_scope(Frame* frame, Py_ssize_t count, bint is_copy) except -1:
    cdef PyObject** old = sgtm_items(frame.scope)
    cdef PyObject* scope = new_scope(old[0], count)
    cdef Py_ssize_t index
    if is_copy:
        for index in range(1, count + 1):
            put(&sgtm_items(scope)[index], <object> old[index])
    Py_DECREF(<object> frame.scope)
    frame.scope = scope
    return 0


cdef void close_scope(Frame* frame) noexcept:
    cdef PyObject* outer = sgtm_items(frame.scope)[0]
    Py_INCREF(<object> outer)
    Py_DECREF(<object> frame.scope)
    frame.scope = outer


# -- variables -----------------------------------------------------------------------------------------


cdef class Literal(Node):
    cdef object value

    def __init__(self, value):
        self.value = value

    cdef object eval(self, Frame* frame):
        return self.value


cdef class Local(Node):
    cdef Py_ssize_t slot

    def __init__(self, slot):
        self.slot = slot

    cdef object eval(self, Frame* frame):
        return <object> frame.slots[self.slot]

    cdef int test(self, Frame* frame) except -1:
        return truth(<object> frame.slots[self.slot])

    cdef int assign(self, Frame* frame, object value) except -1:
        put(&frame.slots[self.slot], value)
        return 0


cdef class Scoped(Node):
    # A variable that an inner function uses, `level` scopes further out.
    cdef Py_ssize_t index
    cdef int level

    def __init__(self, level, index):
        self.level, self.index = level, index

    cdef object eval(self, Frame* frame):
        return <object> sgtm_items(scope_at(frame, self.level))[self.index]

    cdef int test(self, Frame* frame) except -1:
        return truth(<object> sgtm_items(scope_at(frame, self.level))[self.index])

    cdef int assign(self, Frame* frame, object value) except -1:
        put(&sgtm_items(scope_at(frame, self.level))[self.index], value)
        return 0


cdef class Arguments(Node):
    cdef object eval(self, Frame* frame):
        return <object> frame.arguments


cdef class Undeclared(Node):
    # Reads as undefined; cannot be assigned (google-runtime 5.3).
    cdef str name

    def __init__(self, name):
        self.name = name

    cdef object eval(self, Frame* frame):
        return UNDEFINED

    cdef int assign(self, Frame* frame, object value) except -1:
        (<Run> frame.run).at = self.at
        raise FatalError(f"{self.name} is assigned but not declared")


cdef class Constant(Node):
    # A const, or a name of the host: assigning is silently ignored.
    cdef Node variable

    def __init__(self, variable):
        self.variable = variable

    cdef object eval(self, Frame* frame):
        return self.variable.eval(frame)

    cdef int assign(self, Frame* frame, object value) except -1:
        return 0


cdef class Assign(Node):
    cdef Node target, value

    def __init__(self, target, value):
        self.target, self.value = target, value

    cdef object eval(self, Frame* frame):
        value = self.value.eval(frame)
        self.target.assign(frame, value)
        return value

    cdef int execute(self, Frame* frame) except -1:
        self.target.assign(frame, self.value.eval(frame))
        return NORMAL


cdef class Change(Node):
    # `x += e`, `++x`, `x++`, of a variable.
    cdef Node target, value
    cdef int operator
    cdef bint is_postfix

    def __init__(self, target, operator, value, is_postfix):
        self.target, self.value = target, value
        self.operator, self.is_postfix = operator_of(operator), is_postfix

    cdef object eval(self, Frame* frame):
        return changed(self, frame, self.target.eval(frame), UNDEFINED, UNDEFINED)


cdef class ChangeMember(Change):
    cdef Node owner, key

    def __init__(self, owner, key, operator, value, is_postfix):
        self.owner, self.key, self.value = owner, key, value
        self.operator, self.is_postfix = operator_of(operator), is_postfix

    cdef object eval(self, Frame* frame):
        owner, key = self.owner.eval(frame), self.key.eval(frame)
        (<Run> frame.run).at = self.at
        return changed(self, frame, member(<Run> frame.run, owner, key), owner, key)


cdef object changed(Change node, Frame* frame, object old, object owner, object key):
    cdef Run run = <Run> frame.run
    if node.value is None:
        if type(old) is not int:
            old = number(double_of(run, old))
        new = arithmetic(run, node.operator, old, 1)
    else:
        new = arithmetic(run, node.operator, old, node.value.eval(frame))
    if node.target is not None:
        node.target.assign(frame, new)
    else:
        run.at = node.at
        set_member(run, owner, key, new)
    return old if node.is_postfix else new


# -- operators -----------------------------------------------------------------------------------------


cdef class Sum(Node):
    # `a + b + c`, from left to right.
    cdef tuple kept
    cdef PyObject** parts
    cdef Py_ssize_t count

    def __init__(self, parts):
        self.kept, self.count = tuple(parts), len(parts)
        self.parts = sgtm_parts(self.kept)

    cdef object eval(self, Frame* frame):
        cdef Py_ssize_t index
        cdef PyObject* text
        total = (<Node> self.parts[0]).eval(frame)
        for index in range(1, self.count):
            part = (<Node> self.parts[index]).eval(frame)
            if type(total) is str and type(part) is str:
                (<Run> frame.run).make_text(len(<str> total) + len(<str> part))
                text = <PyObject*> total
                Py_INCREF(total)
                total = None
                total = sgtm_grown(text, part)
            else:
                total = plus(<Run> frame.run, total, part)
        return total


cdef extern from *:
    """
    /* A text that nobody else has grows where it is; `left` is let go, also where it fails. */
    static PyObject* sgtm_grown(PyObject* left, PyObject* right) {
        PyUnicode_Append(&left, right);
        return left;
    }
    """
    object sgtm_grown(PyObject* left, object right)


cdef class Binary(Node):
    # All operators that need two values but === and !==.
    cdef Node left, right
    cdef int operator

    def __init__(self, operator, left, right):
        self.operator, self.left, self.right = operator_of(operator), left, right

    cdef object eval(self, Frame* frame):
        if self.operator >= SAME:
            return self.test(frame) != 0
        left = self.left.eval(frame)
        return arithmetic(<Run> frame.run, self.operator, left, self.right.eval(frame))

    cdef int test(self, Frame* frame) except -1:
        cdef int order
        cdef Run run = <Run> frame.run
        left = self.left.eval(frame)
        right = self.right.eval(frame)
        if self.operator < SAME:
            return truth(arithmetic(run, self.operator, left, right))
        if self.operator == EQUAL:
            return loosely_same(run, left, right)
        if self.operator == NOT_EQUAL:
            return not loosely_same(run, left, right)
        # PERF: two small whole numbers are most of what is compared
        if type(left) is int and type(right) is int:
            result = of_whole(self.operator, left, right)
            if result is not None:
                return result is True
        order = compare(run, left, right)
        if self.operator == LESS:
            return order == -1
        if self.operator == LESS_OR_EQUAL:
            return order == -1 or order == 0
        if self.operator == GREATER:
            return order == 1
        return order == 1 or order == 0


cdef class Same(Node):
    # === and !==
    cdef Node left, right
    cdef bint is_not

    def __init__(self, is_not, left, right):
        self.is_not, self.left, self.right = is_not, left, right

    cdef object eval(self, Frame* frame):
        return self.test(frame) != 0

    cdef int test(self, Frame* frame) except -1:
        left = self.left.eval(frame)
        return same(left, self.right.eval(frame)) != self.is_not


cdef class SameAs(Node):
    # The same with a literal.
    cdef Node left
    cdef object right
    cdef bint is_not, is_single

    def __init__(self, is_not, left, right):
        self.is_not, self.left, self.right = is_not, left, right
        self.is_single = right is None or right is UNDEFINED or type(right) is bool

    cdef object eval(self, Frame* frame):
        return self.test(frame) != 0

    cdef int test(self, Frame* frame) except -1:
        left = self.left.eval(frame)
        if self.is_single:
            return (left is self.right) != self.is_not
        return same(left, self.right) != self.is_not


cdef class TypeIs(Node):
    # `typeof x === 'text'`
    cdef Node value
    cdef str name
    cdef bint is_not

    def __init__(self, is_not, value, name):
        self.is_not, self.value, self.name = is_not, value, name

    cdef object eval(self, Frame* frame):
        return self.test(frame) != 0

    cdef int test(self, Frame* frame) except -1:
        return (type_of(self.value.eval(frame)) == self.name) != self.is_not


cdef class Logical(Node):
    # `a && b && c` or `a || b || c`.
    cdef tuple kept
    cdef PyObject** parts
    cdef Py_ssize_t last
    cdef bint is_or

    def __init__(self, is_or, parts):
        self.is_or, self.kept, self.last = is_or, tuple(parts), len(parts) - 1
        self.parts = sgtm_parts(self.kept)

    cdef object eval(self, Frame* frame):
        cdef Py_ssize_t index
        for index in range(self.last):
            value = (<Node> self.parts[index]).eval(frame)
            if truth(value) == self.is_or:
                return value
        return (<Node> self.parts[self.last]).eval(frame)

    cdef int test(self, Frame* frame) except -1:
        cdef Py_ssize_t index
        for index in range(self.last + 1):
            if (<Node> self.parts[index]).test(frame) == self.is_or:
                return self.is_or
        return not self.is_or


cdef class Not(Node):
    cdef Node value

    def __init__(self, value):
        self.value = value

    cdef object eval(self, Frame* frame):
        return self.value.test(frame) == 0

    cdef int test(self, Frame* frame) except -1:
        return self.value.test(frame) == 0


cdef class Unary(Node):
    cdef Node value
    cdef int code

    def __init__(self, operator, value):
        self.code, self.value = ("-", "+", "~", "typeof").index(operator), value

    cdef object eval(self, Frame* frame):
        value = self.value.eval(frame)
        if self.code == 0:
            return number(-double_of(<Run> frame.run, value))
        if self.code == 1:
            return number(double_of(<Run> frame.run, value))
        if self.code == 2:
            return PyLong_FromLongLong(<int> ~uint32_of(<Run> frame.run, value))
        return type_of(value)


cdef class Conditional(Node):
    # `a ? b : c ? d : e`; cases: test, value, test, value, ...
    cdef tuple kept
    cdef PyObject** cases
    cdef Py_ssize_t count
    cdef Node otherwise

    def __init__(self, cases, otherwise):
        self.kept, self.count = tuple([part for case in cases for part in case]), 2 * len(cases)
        self.cases, self.otherwise = sgtm_parts(self.kept), otherwise

    cdef object eval(self, Frame* frame):
        cdef Py_ssize_t index
        for index in range(0, self.count, 2):
            if (<Node> self.cases[index]).test(frame):
                return (<Node> self.cases[index + 1]).eval(frame)
        return self.otherwise.eval(frame)

    cdef int test(self, Frame* frame) except -1:
        cdef Py_ssize_t index
        for index in range(0, self.count, 2):
            if (<Node> self.cases[index]).test(frame):
                return (<Node> self.cases[index + 1]).test(frame)
        return self.otherwise.test(frame)


cdef class Sequence(Node):
    cdef list parts

    def __init__(self, parts):
        self.parts = parts

    cdef object eval(self, Frame* frame):
        value = UNDEFINED
        for part in self.parts:
            value = (<Node> part).eval(frame)
        return value


KINDS = {kind.__name__: kind for kind in (
    Literal, Local, Scoped, Arguments, Undeclared, Constant, Assign, Change, ChangeMember, Sum, Binary, Same,
    SameAs, TypeIs, Logical, Not, Unary, Conditional, Sequence,
)}


def make_node(kind, at, *parts):
    cdef Node node = KINDS[kind](*parts)
    node.at = at
    return node
