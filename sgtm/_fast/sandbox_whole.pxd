# Operators on small whole numbers, which need no double.

from cpython.long cimport PyLong_FromLongLong

from sgtm._fast.sandbox_convert cimport (
    ADD, BIT_AND, BIT_OR, BIT_XOR, EQUAL, GREATER, GREATER_OR_EQUAL, LEFT, LESS, LESS_OR_EQUAL, MULTIPLY,
    NOT_EQUAL, NOT_SAME, REMAINDER, RIGHT, SAME, SUBTRACT,
)

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1

cdef extern from *:
    """
    /* The product of two such numbers fits 64 bits. */
    #define SGTM_SMALL 3000000000LL
    """
    const long long SGTM_SMALL


cdef inline object of_whole(int operator, object first, object second):
    # The result for two ints; None where they are too large or the result may be no whole number.
    cdef int overflow = 0, also = 0
    cdef long long left = PyLong_AsLongLongAndOverflow(first, &overflow)
    cdef long long right = PyLong_AsLongLongAndOverflow(second, &also)
    if overflow or also or not (-SGTM_SMALL < left < SGTM_SMALL and -SGTM_SMALL < right < SGTM_SMALL):
        return None
    if operator == SAME or operator == EQUAL:
        return left == right
    if operator == NOT_SAME or operator == NOT_EQUAL:
        return left != right
    if operator == LESS:
        return left < right
    if operator == LESS_OR_EQUAL:
        return left <= right
    if operator == GREATER:
        return left > right
    if operator == GREATER_OR_EQUAL:
        return left >= right
    if operator == ADD:
        return PyLong_FromLongLong(left + right)
    if operator == SUBTRACT:
        return PyLong_FromLongLong(left - right)
    if operator == BIT_AND:
        return PyLong_FromLongLong(<int> left & <int> right)
    if operator == BIT_OR:
        return PyLong_FromLongLong(<int> left | <int> right)
    if operator == BIT_XOR:
        return PyLong_FromLongLong(<int> left ^ <int> right)
    if operator == LEFT:
        return PyLong_FromLongLong(<int> (<unsigned int> left << (right & 31)))
    if operator == RIGHT:
        return PyLong_FromLongLong((<int> left) >> (right & 31))
    if operator == REMAINDER and left > 0 and right > 0:
        return PyLong_FromLongLong(left % right)
    if operator == MULTIPLY and left and right and -9007199254740992 <= left * right <= 9007199254740992:
        return PyLong_FromLongLong(left * right)
    return None
