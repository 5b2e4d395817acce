"""Methods of lists, objects and promises: exactly Google's lists (SPEC: google-runtime 5.2). Each charges
the run before it works."""

from functools import cmp_to_key

from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from msgspec import UNSET

from sgtm._fast.sandbox_convert cimport double_of, int_of, key_of, same, text_of, truth
from sgtm._fast.sandbox_text cimport Method, _Entry, clamped, entry, first, n_to_string, second, string_method
from sgtm._fast.sandbox_values cimport Callable, HostObject, Opaque, Promise, Run, listed

from sgtm._fast.sandbox_values import ScriptError

__all__ = ["names"]

cdef object UNDEFINED = UNSET


# -- objects, promises -------------------------------------------------------------------------------------


cdef object has_own(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef str key = text_of(run, first(args, count))
    if type(this) is dict:
        return key in <dict> this
    if key == "length" or (run.named is not None and (id(this), key) in run.named):
        return True
    return key.isdecimal() and len(key) < 11 and str(int(key)) == key and int(key) < len(<list> this)


cdef object promise_method(Run run, Promise this, str name, PyObject** args, Py_ssize_t count):
    if name == "then":
        return this.then(first(args, count), second(args, count))
    if name == "catch":
        return this.then(UNDEFINED, first(args, count))
    if name == "finally":
        return this.then(_Finally(first(args, count), True), _Finally(first(args, count), False))
    raise not_a_function(name)


cdef class _Finally(Callable):
    cdef object function
    cdef bint is_good

    def __init__(self, function, is_good):
        self.name, self.function, self.is_good = "", function, is_good

    cdef object call(self, Run run, list args):
        cdef Promise result
        answer = UNDEFINED
        if isinstance(self.function, Callable):
            answer = (<Callable> self.function).call(run, [])
        if isinstance(answer, Promise):
            return (<Promise> answer).then(_Constant(args[0], self.is_good), UNDEFINED)
        if self.is_good:
            return args[0]
        result = Promise(run)
        result.reject(args[0])
        return result


cdef class _Constant(Callable):
    cdef object value
    cdef bint is_good

    def __init__(self, value, is_good):
        self.name, self.value, self.is_good = "", value, is_good

    cdef object call(self, Run run, list args):
        cdef Promise result
        if self.is_good:
            return self.value
        result = Promise(run)
        result.reject(self.value)
        return result


# -- arrays ----------------------------------------------------------------------------------------------


cdef Callable callback(PyObject** args, Py_ssize_t count):
    if not count or not isinstance(<object> args[0], Callable):
        raise ScriptError("the callback is not a function")
    return <Callable> args[0]


cdef bint is_frozen(Run run, object values):
    return run.frozen is not None and id(values) in run.frozen


cdef object a_concat(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef list result = list(<list> this)
    run.make_elements(len(result))
    for value in listed(args, count):
        if type(value) is list:
            run.make_elements(len(<list> value))
            result.extend(<list> value)
        else:
            run.make_elements(1)
            result.append(value)
    return result


cdef object each(Run run, list this, PyObject** args, Py_ssize_t count, int what):
    # every 0, some 1, forEach 2, map 3, filter 4: members that are there at the start, unless they go.
    cdef Callable function = callback(args, count)
    cdef Py_ssize_t index, length = len(this)
    cdef list result = None if what <= 2 else []
    cdef PyObject* given[3]
    cdef object place
    run.charge(length)
    for index in range(length):
        if index >= PyList_GET_SIZE(this):
            break
        value = this[index]
        place = index
        given[0], given[1], given[2] = <PyObject*> value, <PyObject*> place, <PyObject*> this
        answer = function.invoke(run, given, 3)
        if what == 3:
            run.make_elements(1)
            result.append(answer)
        elif what == 4:
            if truth(answer):
                run.make_elements(1)
                result.append(value)
        elif what < 2 and truth(answer) == what:
            return what == 1
    return UNDEFINED if what == 2 else result if what > 2 else what == 0


cdef object a_every(Run run, object this, PyObject** args, Py_ssize_t count):
    return each(run, this, args, count, 0)


cdef object a_some(Run run, object this, PyObject** args, Py_ssize_t count):
    return each(run, this, args, count, 1)


cdef object a_for_each(Run run, object this, PyObject** args, Py_ssize_t count):
    return each(run, this, args, count, 2)


cdef object a_map(Run run, object this, PyObject** args, Py_ssize_t count):
    return each(run, this, args, count, 3)


cdef object a_filter(Run run, object this, PyObject** args, Py_ssize_t count):
    return each(run, this, args, count, 4)


cdef object folded(Run run, list this, PyObject** args, Py_ssize_t count, int step):
    cdef Callable function = callback(args, count)
    cdef Py_ssize_t index = 0 if step > 0 else len(this) - 1, left = len(this)
    cdef PyObject* given[4]
    cdef object place
    run.charge(left)
    if count > 1:
        result = <object> args[1]
    elif left:
        result = this[index]
        index += step
        left -= 1
    else:
        raise ScriptError("reduce of an empty array with no initial value")
    while left:
        if 0 <= index < len(this):
            value, place = this[index], index
            given[0], given[1] = <PyObject*> result, <PyObject*> value
            given[2], given[3] = <PyObject*> place, <PyObject*> this
            result = function.invoke(run, given, 4)
        index += step
        left -= 1
    return result


cdef object a_reduce(Run run, object this, PyObject** args, Py_ssize_t count):
    return folded(run, this, args, count, 1)


cdef object a_reduce_right(Run run, object this, PyObject** args, Py_ssize_t count):
    return folded(run, this, args, count, -1)


cdef object a_index_of(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef list values = this
    cdef Py_ssize_t index
    wanted = first(args, count)
    run.charge(len(values) >> 1)
    for index in range(clamped(run, second(args, count), len(values), 0), len(values)):
        if same(values[index], wanted):
            return index
    return -1


cdef object a_last_index_of(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef list values = this
    cdef long long index = int_of(run, second(args, count), len(values) - 1) if count > 1 else len(values) - 1
    wanted = first(args, count)
    run.charge(len(values) >> 1)
    index = min(index + len(values) if index < 0 else index, len(values) - 1)
    while index >= 0:
        if same(values[index], wanted):
            return index
        index -= 1
    return -1


cdef object a_join(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef str between = "," if first(args, count) is UNDEFINED else text_of(run, first(args, count))
    cdef list parts = []
    cdef long long length = 0
    cdef str text
    run.charge(len(<list> this))
    for value in <list> this:
        text = "" if value is None or value is UNDEFINED or value is this else text_of(run, value)
        length += len(text) + len(between)
        parts.append(text)
    run.make_text(max(0, length - len(between)))
    return between.join(parts)


cdef object a_pop(Run run, object this, PyObject** args, Py_ssize_t count):
    return UNDEFINED if not (<list> this) or is_frozen(run, this) else (<list> this).pop()


cdef object a_shift(Run run, object this, PyObject** args, Py_ssize_t count):
    run.charge(len(<list> this) >> 6)
    return UNDEFINED if not (<list> this) or is_frozen(run, this) else (<list> this).pop(0)


cdef object a_push(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef Py_ssize_t index
    if not is_frozen(run, this):
        run.make_elements(count)
        for index in range(count):
            (<list> this).append(<object> args[index])
    return len(<list> this)


cdef object a_unshift(Run run, object this, PyObject** args, Py_ssize_t count):
    if not is_frozen(run, this):
        run.make_elements(count)
        run.charge(len(<list> this) >> 6)
        (<list> this)[0:0] = listed(args, count)
    return len(<list> this)


cdef object a_reverse(Run run, object this, PyObject** args, Py_ssize_t count):
    run.charge(len(<list> this) >> 3)
    if not is_frozen(run, this):
        (<list> this).reverse()
    return this


cdef object a_slice(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef Py_ssize_t length = len(<list> this)
    cdef Py_ssize_t start = clamped(run, first(args, count), length, 0), end = clamped(
        run, second(args, count), length, length)
    run.make_elements(max(0, end - start))
    return (<list> this)[start:end] if start < end else []


cdef object a_splice(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef list values = this, gone
    cdef Py_ssize_t length = len(values), start, removed
    if not count or is_frozen(run, this):
        return []
    start = clamped(run, <object> args[0], length, 0)
    removed = length - start if count < 2 else max(0, min(int_of(run, <object> args[1], 0), length - start))
    run.make_elements(removed + max(0, count - 2))
    run.charge(length >> 6)
    gone = values[start:start + removed]
    values[start:start + removed] = listed(args, count)[2:]
    return gone


cdef object a_sort(Run run, object this, PyObject** args, Py_ssize_t count):
    cdef list values, rest
    cdef Callable function
    if first(args, count) is not UNDEFINED and not isinstance(first(args, count), Callable):
        raise ScriptError("the comparator is not a function")
    rest = [value for value in <list> this if value is UNDEFINED]
    values = [value for value in <list> this if value is not UNDEFINED]
    run.make_elements(len(<list> this))
    run.charge(len(values) * len(values).bit_length())
    if first(args, count) is UNDEFINED:
        values = [value for _, value in sorted(
            [(text_of(run, value), value) for value in values], key=_text_of_pair)]
    else:
        function = <Callable> args[0]
        values.sort(key=cmp_to_key(lambda left, right: double_of(run, function.call(run, [left, right]))))
    if not is_frozen(run, this):
        (<list> this)[:] = values + rest
    return this


def _text_of_pair(pair):
    return pair[0]


cdef object any_to_string(Run run, object this, PyObject** args, Py_ssize_t count):
    return text_of(run, this)


# -- tables ------------------------------------------------------------------------------------------------

cdef dict ARRAY = {
    "concat": entry(a_concat), "every": entry(a_every), "filter": entry(a_filter),
    "forEach": entry(a_for_each), "hasOwnProperty": entry(has_own), "indexOf": entry(a_index_of),
    "join": entry(a_join), "lastIndexOf": entry(a_last_index_of), "map": entry(a_map), "pop": entry(a_pop),
    "push": entry(a_push), "reduce": entry(a_reduce), "reduceRight": entry(a_reduce_right),
    "reverse": entry(a_reverse), "shift": entry(a_shift), "slice": entry(a_slice), "some": entry(a_some),
    "sort": entry(a_sort), "splice": entry(a_splice), "unshift": entry(a_unshift),
    "toString": entry(any_to_string),
}


cdef Method array_method(str name) noexcept:
    found = ARRAY.get(name)
    return NULL if found is None else (<_Entry> found).method


cdef Method record_method(str name) noexcept:
    # of an object that has no member of that name
    if name == "hasOwnProperty":
        return has_own
    if name == "toString":
        return any_to_string
    return NULL


def names():
    return list(ARRAY)


cdef object not_a_function(object name):
    return ScriptError(f"{name:.60} is not a function")


cdef object call_method(Run run, object this, object key, PyObject** args, Py_ssize_t count):
    # A method by name, wherever the quick ways of the call node do not lead.
    cdef str name = key_of(run, key)
    cdef Method method = NULL
    if this is None or this is UNDEFINED:
        raise ScriptError(f"cannot read {name!r:.60} of {text_of(run, this)}")
    if type(this) is dict:
        found = (<dict> this).get(name)
        if isinstance(found, Callable):
            return (<Callable> found).invoke(run, args, count)
        if found is None and name not in <dict> this:
            method = record_method(name)
    elif type(this) is list:
        found = None if name in ARRAY else (<list> this)[int(name)] if has_index(this, name) else None
        if isinstance(found, Callable):
            return (<Callable> found).invoke(run, args, count)
        method = array_method(name)
    elif type(this) is str:
        method = string_method(name)
    elif isinstance(this, Promise):
        return promise_method(run, this, name, args, count)
    elif isinstance(this, HostObject):
        found = (<HostObject> this).members.get(name)
        if isinstance(found, Callable):
            return (<Callable> found).invoke(run, args, count)
    elif name == "toString":
        method = n_to_string if not isinstance(this, (Callable, Opaque)) else any_to_string
    if method == NULL:
        raise not_a_function(name)
    return method(run, this, args, count)


cdef bint has_index(object values, str name):
    return name.isdecimal() and len(name) < 11 and int(name) < len(<list> values)
