# Event data -> the fields of a vendor's object, by a table. What it promises: mapping.pyi.
#
# PERF: a field that is read and turned into a text costs 150 instructions here and 3,000 as a method of
# Event in plain Python; a vendor's event has 20 to 60 of them, most of them missing.

from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject

from sgtm._fast.scalars cimport finite_number, plain_text, scalar_text

AS_IS, TEXT, PLAIN_TEXT, NUMBER, VALUES = range(5)

cdef enum:
    IS_AS_IT_IS
    IS_TEXT
    IS_PLAIN_TEXT
    IS_NUMBER
    IS_VALUES


cdef class Field:
    # Where one field comes from: keys of the holders with these numbers, in order of preference.
    cdef readonly str name
    cdef readonly tuple key_paths
    cdef readonly object default
    cdef int conversion
    cdef list sources

    def __init__(self, str name not None, int conversion, *key_paths, default=None):
        if not 0 <= conversion <= IS_VALUES:
            raise ValueError(f"{name}: there is no conversion {conversion}")
        self.name, self.conversion, self.key_paths, self.default = name, conversion, key_paths, default
        self.sources = []


cdef class _Source:
    cdef Py_ssize_t holder
    cdef str key

    def __init__(self, Py_ssize_t holder, str key):
        self.holder, self.key = holder, key


cdef class Mapping:
    cdef readonly tuple fields
    cdef list paths

    def __init__(self, *fields):
        self.fields = fields
        self.paths = [()]
        for field in fields:
            for key_path in (<Field?>field).key_paths:
                path, _, key = key_path.rpartition(".")
                steps = tuple(path.split(".")) if path else ()
                if steps not in self.paths:
                    self.paths.append(steps)
                (<Field>field).sources.append(_Source(self.paths.index(steps), key))

    def read(self, dict data not None):
        cdef list holders = [data]
        cdef Py_ssize_t index
        cdef dict found = {}
        for index in range(1, len(self.paths)):
            holders.append(holder_at(data, <tuple>self.paths[index]))
        for field in self.fields:
            value = value_of(<Field>field, holders)
            if value is not None:
                found[(<Field>field).name] = value
        return found


cdef object holder_at(dict data, tuple steps):
    # The dict at this path; for a step `name[]` the dicts that stand there, one or a list of them.
    cdef object holder = data
    cdef str step
    for step in steps:
        if not isinstance(holder, dict):
            return None
        if step.endswith("[]"):
            value = (<dict>holder).get(step.removesuffix("[]"))
            return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
        holder = (<dict>holder).get(step)
    return holder if isinstance(holder, dict) else None


cdef object value_of(Field field, list holders):
    cdef _Source source
    cdef PyObject* found
    for source in field.sources:
        holder = holders[source.holder]
        if type(holder) is dict:
            found = PyDict_GetItemWithError(holder, source.key)
            if found is NULL:
                continue
            value = <object>found
        elif not holder:
            continue
        elif isinstance(holder, dict):
            value = (<dict>holder).get(source.key)
        else:
            value = [(<dict>one).get(source.key) for one in <list>holder]
        if value is not None:
            value = converted(value, field.conversion)
            if value is not None:
                return value
    return field.default


cdef object converted(value, int conversion):
    if conversion == IS_TEXT:
        return scalar_text(value)
    if conversion == IS_PLAIN_TEXT:
        return plain_text(value)
    if conversion == IS_NUMBER:
        value = finite_number(value)
        return value if value is not None and -1e300 < value < 1e300 else None
    if conversion == IS_VALUES:
        if not isinstance(value, list):
            return None if plain_text(value) is None else [value]
        return [one for one in <list>value if plain_text(one) is not None] or None
    return value


def convert(value, int conversion):
    return converted(value, conversion)
