"""Lists, objects, members and calls of a script, as nodes: see `sandbox_nodes.pyx`."""

from cpython.dict cimport PyDict_GetItemWithError, PyDict_SetItem
from cpython.list cimport PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from msgspec import UNSET

from sgtm._fast.sandbox_methods cimport array_method, call_method, record_method
from sgtm._fast.sandbox_convert cimport key_of, member, set_member, truth
from sgtm._fast.sandbox_nodes cimport KINDS, Frame, Node, sgtm_owned, sgtm_parts
from sgtm._fast.sandbox_text cimport Method, string_method
from sgtm._fast.sandbox_values cimport Callable, HostObject, Run, is_callable, spend

from sgtm._fast.sandbox_values import ScriptError

__all__ = []

cdef extern from "Python.h":
    dict _PyDict_NewPresized(Py_ssize_t)

cdef object UNDEFINED = UNSET
cdef enum:
    ROOM = 8    # arguments of a call that need no memory of their own


cdef class Parts(Node):
    # What several values are made of.
    cdef tuple kept
    cdef PyObject** parts
    cdef Py_ssize_t count

    cdef void keep(self, list parts):
        self.kept, self.count = tuple(parts), len(parts)
        self.parts = sgtm_parts(self.kept)


# -- lists, objects, members -----------------------------------------------------------------------------


cdef class ListOf(Parts):
    def __init__(self, parts):
        self.keep(parts)

    cdef object eval(self, Frame* frame):
        cdef Py_ssize_t index
        cdef list values
        (<Run> frame.run).make_elements(self.count)
        values = []
        for index in range(self.count):
            values.append((<Node> self.parts[index]).eval(frame))
        return values


cdef class ObjectOf(Parts):
    cdef tuple keys

    def __init__(self, keys, parts):
        self.keys = tuple(keys)
        self.keep(parts)

    cdef object eval(self, Frame* frame):
        cdef PyObject** keys = sgtm_parts(self.keys)
        cdef Py_ssize_t index
        cdef dict record
        (<Run> frame.run).make_elements(self.count)
        record = _PyDict_NewPresized(self.count) if self.count else {}
        for index in range(self.count):
            PyDict_SetItem(record, <object> keys[index], (<Node> self.parts[index]).eval(frame))
        return record


cdef class Member(Node):
    cdef Node owner, key

    def __init__(self, owner, key):
        self.owner, self.key = owner, key

    cdef object eval(self, Frame* frame):
        cdef PyObject* found
        owner, key = self.owner.eval(frame), self.key.eval(frame)
        if type(owner) is dict and type(key) is str:
            found = PyDict_GetItemWithError(owner, key)
            return UNDEFINED if found == NULL else <object> found
        (<Run> frame.run).at = self.at
        return member(<Run> frame.run, owner, key)


cdef class NamedMember(Node):
    cdef Node owner
    cdef str name
    cdef bint is_length

    def __init__(self, owner, name):
        self.owner, self.name, self.is_length = owner, name, name == "length"

    cdef object eval(self, Frame* frame):
        cdef PyObject* found
        owner = self.owner.eval(frame)
        if type(owner) is dict:
            found = PyDict_GetItemWithError(owner, self.name)
            return UNDEFINED if found == NULL else <object> found
        if self.is_length:
            if type(owner) is list:
                return PyList_GET_SIZE(owner)
            if type(owner) is str:
                return len(<str> owner)
        (<Run> frame.run).at = self.at
        return member(<Run> frame.run, owner, self.name)

    cdef int test(self, Frame* frame) except -1:
        cdef PyObject* found
        owner = self.owner.eval(frame)
        if type(owner) is dict:
            found = PyDict_GetItemWithError(owner, self.name)
            return found != NULL and truth(<object> found)
        (<Run> frame.run).at = self.at
        return truth(member(<Run> frame.run, owner, self.name))


cdef class SetMember(Node):
    cdef Node owner, key, value

    def __init__(self, owner, key, value):
        self.owner, self.key, self.value = owner, key, value

    cdef object eval(self, Frame* frame):
        owner, key = self.owner.eval(frame), self.key.eval(frame)
        value = self.value.eval(frame)
        self.put(frame, owner, key, value)
        return value

    cdef int execute(self, Frame* frame) except -1:
        owner, key = self.owner.eval(frame), self.key.eval(frame)
        self.put(frame, owner, key, self.value.eval(frame))
        return 0

    cdef int put(self, Frame* frame, object owner, object key, object value) except -1:
        cdef Run run = <Run> frame.run
        cdef Py_ssize_t length
        run.at = self.at
        if type(owner) is dict and type(key) is str and run.frozen is None:
            length = len(<dict> owner)
            PyDict_SetItem(owner, key, value)
            if len(<dict> owner) > length:
                run.make_elements(1)
            return 0
        return set_member(run, owner, key, value)


# -- calls ---------------------------------------------------------------------------------------------------


cdef struct Args:
    PyObject** values
    Py_ssize_t count        # so many are there, and must be let go


cdef class Called(Parts):
    cdef str text

    cdef object called(self, Frame* frame, Args* args):
        raise NotImplementedError

    cdef object eval(self, Frame* frame):
        # The arguments are let go here, whatever comes: `called` may leave by an error anywhere.
        cdef PyObject* few[ROOM]
        cdef PyObject* result
        cdef Py_ssize_t index
        cdef Args args
        args.values, args.count = few, 0
        if self.count > ROOM:
            args.values = <PyObject**> PyMem_Malloc(self.count * sizeof(PyObject*))
            if args.values == NULL:
                raise MemoryError
        result = (<Raw> <void*> called_by)(<PyObject*> self, frame, &args)
        for index in range(args.count):
            Py_DECREF(<object> args.values[index])
        if args.values != few:
            PyMem_Free(args.values)
        return sgtm_owned(result)


ctypedef PyObject* (*Raw)(PyObject*, Frame*, Args*) noexcept


cdef object called_by(PyObject* node, Frame* frame, Args* args):
    return (<Called> node).called(frame, args)


cdef inline int fill(Called node, Frame* frame, Args* args) except -1:
    cdef Py_ssize_t index
    for index in range(node.count):
        value = (<Node> node.parts[index]).eval(frame)
        Py_INCREF(value)
        args.values[index] = <PyObject*> value
        args.count = index + 1
    return 0


cdef class Call(Called):
    cdef Node function

    def __init__(self, function, parts, text):
        self.function, self.text = function, text
        self.keep(parts)

    cdef object called(self, Frame* frame, Args* args):
        function = self.function.eval(frame)
        fill(self, frame, args)
        (<Run> frame.run).at = self.at
        if not is_callable(function):
            raise ScriptError(f"{self.text} is not a function")
        return (<Callable> function).invoke(<Run> frame.run, args.values, self.count)


cdef class CallMember(Called):
    cdef Node owner, key
    cdef str name
    cdef Method of_text, of_list, of_record

    def __init__(self, owner, key, name, parts, text):
        self.owner, self.key, self.name, self.text = owner, key, name, text
        self.keep(parts)
        self.of_text = self.of_list = self.of_record = NULL
        if name is not None:
            self.of_text, self.of_list = string_method(name), array_method(name)
            self.of_record = record_method(name)

    cdef object called(self, Frame* frame, Args* args):
        cdef Run run = <Run> frame.run
        cdef PyObject* found
        owner = self.owner.eval(frame)
        key = self.name if self.name is not None else self.key.eval(frame)
        fill(self, frame, args)
        run.at = self.at
        spend(run, 1)
        if type(owner) is str:
            if self.of_text != NULL:
                return self.of_text(run, owner, args.values, self.count)
        elif type(owner) is list:
            if self.of_list != NULL:
                return self.of_list(run, owner, args.values, self.count)
        elif type(owner) is dict or type(owner) is HostObject:
            found = PyDict_GetItemWithError(
                <dict> owner if type(owner) is dict else (<HostObject> owner).members, key_of(run, key))
            if found != NULL:
                function = <object> found
                if is_callable(function):
                    return (<Callable> function).invoke(run, args.values, self.count)
            elif self.of_record != NULL and type(owner) is dict:
                return self.of_record(run, owner, args.values, self.count)
        return slowly(self, run, owner, key, args.values)


cdef object slowly(CallMember node, Run run, object owner, object key, PyObject** args):
    try:
        return call_method(run, owner, key, args, node.count)
    except ScriptError as error:
        if str(error) == f"{key_of(run, key):.60} is not a function":
            raise ScriptError(f"{node.text} is not a function") from None
        raise


KINDS.update({kind.__name__: kind for kind in (
    ListOf, ObjectOf, Member, NamedMember, SetMember, Call, CallMember,
)})
