# What JavaScript makes of values.

from sgtm._fast.sandbox_values cimport Run

cdef enum:
    ADD, SUBTRACT, MULTIPLY, DIVIDE, REMAINDER, BIT_AND, BIT_OR, BIT_XOR, LEFT, RIGHT, RIGHT_UNSIGNED
    SAME, NOT_SAME, EQUAL, NOT_EQUAL, LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL


cdef object number(double value)
cdef double double_of(Run run, object value) except? -1.25
cdef long long int_of(Run run, object value, long long missing) except? -7777
cdef unsigned int uint32_of(Run run, object value) except? 7777
cdef bint truth(object value) noexcept
cdef str text_of(Run run, object value)
cdef object key_of(Run run, object value)
cdef bint same(object left, object right) except -1
cdef bint loosely_same(Run run, object left, object right) except -1
cdef str type_of(object value)
cdef object added(Run run, object left, object right)
cdef object plus(Run run, object left, object right)
cdef int compare(Run run, object left, object right) except -9
cdef object member(Run run, object owner, object key)
cdef int set_member(Run run, object owner, object key, object value) except -1
cdef object copied(Run run, object value)
cdef int operator_of(str sign) except -1
cdef object arithmetic(Run run, int operator, object left, object right)
