# The closed set of values of the template engine.

from cpython.object cimport PyObject


cdef class Run:
    cdef public long long steps, texts, elements
    cdef public Py_ssize_t longest_text
    cdef public int depth, nesting, promises, at
    cdef public dict frozen, named
    cdef public object jobs, later, patterns, tick, host
    cdef long long next_tick
    cdef list left
    cpdef int charge(self, long long count) except -1
    cpdef int make_text(self, long long length) except -1
    cpdef int make_elements(self, long long count) except -1


cdef inline int spend(Run run, long long count) except -1:
    # `charge`, where each instruction counts.
    run.steps -= count
    return run.charge(0) if run.steps < run.next_tick else 0


cdef class Callable:
    cdef readonly str name
    # What a function of a script has more. PERF: it has the size of its base, whose free list serves both.
    cdef object code
    cdef list scope
    cdef object call(self, Run run, list args)
    # PERF: the same with arguments that stand side by side and stay the caller's: no list is made of them
    cdef object invoke(self, Run run, PyObject** args, Py_ssize_t count)


cdef list listed(PyObject** args, Py_ssize_t count)


cdef extern from *:
    """
    /* PERF: nearly all that is called is of a class right below Callable. */
    #define sgtm_is_below(object, type) (Py_TYPE(object)->tp_base == (PyTypeObject*) (type))
    static inline int sgtm_same_text(PyObject* left, PyObject* right) {
        Py_ssize_t length = PyUnicode_GET_LENGTH(left);
        int kind = PyUnicode_KIND(left);
        return length == PyUnicode_GET_LENGTH(right) && kind == (int) PyUnicode_KIND(right)
            && memcmp(PyUnicode_DATA(left), PyUnicode_DATA(right), length * kind) == 0;
    }
    """
    bint sgtm_is_below(object, object)
    bint sgtm_same_text(object, object)


cdef inline bint is_callable(object value):
    return sgtm_is_below(value, Callable) or isinstance(value, Callable)


cdef class Native(Callable):
    cdef object function
    cdef int cost


cdef class HostObject:
    cdef readonly str name
    cdef dict members


cdef class Opaque:
    cdef readonly str text


cdef class Regex(Opaque):
    cdef readonly object pattern
    cdef readonly bint is_global
    cdef public Py_ssize_t last_index


cdef class Promise:
    cdef readonly str state
    cdef readonly object value
    cdef list reactions
    # last: fields are let go in their order, and who holds functions goes before the run
    cdef Run run
    cpdef object then(self, object on_value, object on_reason)
    cpdef bint resolve(self, object value) except -1
    cpdef bint reject(self, object reason) except -1
    cdef void settle(self, str state, object value)
