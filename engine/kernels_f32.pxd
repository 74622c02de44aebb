# SPDX-License-Identifier: Apache-2.0
"""Declarations of eng/train_f32.h, eng/random.h and eng/math_f32.h."""

from libc.stdint cimport uint16_t, uint32_t


cdef extern from "eng/train_f32.h" nogil:
    ctypedef struct eng_window:
        uint16_t in_h, in_w, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left

    ctypedef struct eng_pool2d_f32_params:
        size_t batch
        eng_window window
        uint16_t channels

    void eng_max_pool2d_f32(const eng_pool2d_f32_params *, const float *, float *, uint32_t *)
    void eng_max_pool2d_f32_backward(const eng_pool2d_f32_params *, const uint32_t *, const float *, float *)
    void eng_average_pool2d_f32(const eng_pool2d_f32_params *, const float *, float *)
    void eng_average_pool2d_f32_backward(const eng_pool2d_f32_params *, const float *, float *)

    ctypedef struct eng_relu_f32_params:
        size_t count
        float limit

    void eng_relu_f32(const eng_relu_f32_params *, const float *, float *)
    void eng_relu_f32_backward(const eng_relu_f32_params *, const float *, const float *, float *)

    ctypedef struct eng_softmax_f32_params:
        size_t rows
        uint16_t classes

    void eng_softmax_f32(const eng_softmax_f32_params *, const float *, float *)
    void eng_softmax_f32_backward(const eng_softmax_f32_params *, const float *, const float *, float *)
    void eng_softmax_cross_entropy_f32(const eng_softmax_f32_params *, const float *, const uint16_t *, float *, float *)

    uint16_t eng_argmax_f32(uint16_t, const float *)

    ctypedef struct eng_mse_f32_params:
        size_t rows, cols

    void eng_mse_f32(const eng_mse_f32_params *, const float *, const float *, float *, float *)

    ctypedef struct eng_rng:
        uint32_t state[4]

    void eng_init_uniform_f32(eng_rng *, size_t, float, float *)
    void eng_init_normal_f32(eng_rng *, size_t, float, float *)
    float eng_he_limit_f32(uint32_t)
    float eng_he_deviation_f32(uint32_t)
    float eng_glorot_limit_f32(uint32_t, uint32_t)
    float eng_glorot_deviation_f32(uint32_t, uint32_t)

cdef extern from "eng/random.h" nogil:
    void eng_rng_seed(eng_rng *, uint32_t)
    uint32_t eng_rng_next(eng_rng *)
    void eng_shuffle_u32(eng_rng *, uint32_t, uint32_t *)

cdef extern from "eng/math_f32.h" nogil:
    float eng_exp_f32(float)
    float eng_log_f32(float)
