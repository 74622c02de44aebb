# SPDX-License-Identifier: Apache-2.0
"""Pointers to the elements of checked arrays."""

cdef inline const float *read_f32(array) except NULL:
    cdef const float[::1] view = array.reshape(-1)
    return &view[0]


cdef inline float *write_f32(array) except NULL:
    cdef float[::1] view = array.reshape(-1)
    return &view[0]


cdef inline float *optional_f32(array) except? NULL:
    return NULL if array is None else write_f32(array)
