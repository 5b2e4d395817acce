"""Values of the template engine: a closed set, and the limits of a run.

null is None, undefined msgspec's UNSET; the rest is bool, int, float, str, list, dict and the classes of
this file. What JavaScript makes of them stands in `sandbox_convert.pyx`.
"""

from collections import deque

cimport cython
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from msgspec import UNSET

__all__ = [
    "Callable", "FatalError", "HostObject", "LimitError", "Native", "Opaque", "Promise", "Regex", "Run",
    "SandboxError", "ScriptError",
]

cdef extern from *:
    """
    #define sgtm_items(list) (((PyListObject*) (list))->ob_item)
    """
    PyObject** sgtm_items(list)

cdef object UNDEFINED = UNSET
cdef enum:
    TICK = 1_000            # steps between two looks at the clock of who runs us


class SandboxError(Exception):
    """What stops a script."""


class ScriptError(SandboxError):
    """An error of the language or of an API: a script can catch it."""


class FatalError(SandboxError):
    """An error that a script cannot catch: an unknown API, a name that is assigned but not declared."""


class LimitError(SandboxError):
    """A run went beyond a limit; no script can catch it. `limit` is the name of the setting."""

    def __init__(self, limit, what):
        self.limit = limit
        super().__init__(what)


@cython.final
cdef class Run:
    """What one run may still use, and where it is. A limit that is reached is a LimitError."""

    def __init__(
        self, steps, texts, longest_text, elements, depth, nesting, promises, patterns=None, tick=None
    ):
        self.steps, self.texts, self.longest_text, self.elements = steps, texts, longest_text, elements
        self.depth, self.nesting, self.promises = depth, nesting, promises
        self.patterns, self.tick = patterns, tick
        self.next_tick = steps - TICK
        self.jobs, self.later = deque(), deque()

    cpdef int charge(self, long long count) except -1:
        self.steps -= count
        if self.steps < self.next_tick:
            if self.steps < 0:
                raise LimitError("steps", "the run takes too many steps")
            self.next_tick = self.steps - TICK
            if self.tick is not None:
                self.tick()
        return 0

    cpdef int make_text(self, long long length) except -1:
        self.texts -= length
        if length > self.longest_text:
            raise LimitError("text_length", f"a text of {length:,} characters is too long")
        if self.texts < 0:
            raise LimitError("text_total", "all texts of the run together are too long")
        return 0 if length < 64 else self.charge(length >> 6)

    cpdef int make_elements(self, long long count) except -1:
        self.elements -= count
        if self.elements < 0:
            raise LimitError("elements", "the run makes too many members of lists and objects")
        return 0 if count < 4 else self.charge(count >> 2)

    def drain(self):
        """Run reactions of promises until none is ready, then what `callLater` left, and so on."""
        while self.jobs or self.later:
            (self.jobs or self.later).popleft()()


@cython.freelist(128)
cdef class Callable:
    """A function value. Each kind has a `call` or an `invoke` of its own."""

    cdef object call(self, Run run, list args):
        return self.invoke(run, sgtm_items(args), len(args))

    cdef object invoke(self, Run run, PyObject** args, Py_ssize_t count):
        return self.call(run, listed(args, count))

    def __call__(self, Run run, *args):
        return self.call(run, list(args))


cdef list listed(PyObject** args, Py_ssize_t count):
    cdef list result = PyList_New(count)
    cdef Py_ssize_t index
    for index in range(count):
        Py_INCREF(<object> args[index])
        PyList_SET_ITEM(result, index, <object> args[index])
    return result


cdef class Native(Callable):
    """A function of the host: `function(run, args)`; each call is charged `cost` steps and the size of its
    arguments before it begins."""

    def __init__(self, name, function, cost=1):
        self.name, self.function, self.cost = name, function, cost

    cdef object call(self, Run run, list args):
        cdef long long size = self.cost + len(args)
        for value in args:
            if type(value) is str:
                size += len(<str> value) >> 6
        run.charge(size)
        return self.function(run, args)


cdef class HostObject:
    """An object of an API: its members are read, never written."""

    def __init__(self, name, members):
        self.name, self.members = name, members


cdef class Opaque:
    """A value of the host that only has a text: a caught error."""

    def __init__(self, text):
        self.text = text


cdef class Regex(Opaque):
    """A pattern, as `createRegex` gives it."""

    def __init__(self, text, pattern, is_global):
        self.text, self.pattern, self.is_global = text, pattern, is_global


cdef class Promise:
    """A promise of ours: settled by the host or by a reaction; reactions are jobs of the run."""

    def __init__(self, Run run):
        run.promises -= 1
        if run.promises < 0:
            raise LimitError("pending_promises", "the run makes too many promises that wait")
        self.run, self.state, self.value, self.reactions = run, "pending", UNDEFINED, []

    cpdef object then(self, object on_value, object on_reason):
        cdef Promise next_one = Promise(self.run)
        reaction = (on_value, on_reason, next_one)
        if self.state == "pending":
            self.reactions.append(reaction)
        else:
            self.run.jobs.append(_Job(self, reaction))
        return next_one

    cpdef bint resolve(self, object value) except -1:
        """Fulfil it, or follow `value` if that is a promise. False: it was settled before."""
        if self.state != "pending":
            return False
        if value is self:
            return self.reject(Opaque("a promise is resolved with itself"))
        if isinstance(value, Promise):
            (<Promise> value).then(_Follow(self, True), _Follow(self, False))
            return True
        self.settle("fulfilled", value)
        return True

    cpdef bint reject(self, object reason) except -1:
        """Reject it. False: it was settled before."""
        if self.state != "pending":
            return False
        self.settle("rejected", reason)
        return True

    cdef void settle(self, str state, object value):
        self.state, self.value = state, value
        self.run.promises += 1
        for reaction in self.reactions:
            self.run.jobs.append(_Job(self, reaction))
        self.reactions = []


cdef class _Follow(Callable):
    # Settles a promise as the one goes that it was resolved with.
    cdef Promise promise
    cdef bint is_good

    def __init__(self, promise, is_good):
        self.name, self.promise, self.is_good = "", promise, is_good

    cdef object call(self, Run run, list args):
        self.promise.resolve(args[0]) if self.is_good else self.promise.reject(args[0])
        return UNDEFINED


cdef class _Job:
    cdef tuple reaction
    cdef Promise promise

    def __init__(self, promise, reaction):
        self.promise, self.reaction = promise, reaction

    def __call__(self):
        cdef Promise promise = self.promise, next_one = self.reaction[2]
        cdef bint is_good = promise.state == "fulfilled"
        cdef int depth = promise.run.depth, nesting = promise.run.nesting
        callback = self.reaction[0 if is_good else 1]
        if not isinstance(callback, Callable):
            next_one.resolve(promise.value) if is_good else next_one.reject(promise.value)
            return
        try:
            value = (<Callable> callback).call(promise.run, [promise.value])
        except ScriptError as error:
            promise.run.depth, promise.run.nesting = depth, nesting
            next_one.reject(Opaque(str(error)))
            return
        next_one.resolve(value)
