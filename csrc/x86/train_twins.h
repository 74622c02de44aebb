/* SPDX-License-Identifier: Apache-2.0 */
/* Declares the twins that dispatch_train.c chooses from, each of the type of the kernel of its name. */
#ifndef ENG_TRAIN_TWINS_H
#define ENG_TRAIN_TWINS_H

#include "eng/train_f16.h"

#define ENG_DECLARE(prefix)                                                                                                    \
    extern __typeof__(eng_matmul_f32) prefix##matmul_f32;                                                                      \
    extern __typeof__(eng_sum_rows_f32) prefix##sum_rows_f32;                                                                  \
    extern __typeof__(eng_dense_f32) prefix##dense_f32;                                                                        \
    extern __typeof__(eng_conv2d_f32) prefix##conv2d_f32;                                                                      \
    extern __typeof__(eng_conv2d_f32_backward) prefix##conv2d_f32_backward;                                                    \
    extern __typeof__(eng_depthwise_conv2d_f32) prefix##depthwise_conv2d_f32;                                                  \
    extern __typeof__(eng_depthwise_conv2d_f32_backward) prefix##depthwise_conv2d_f32_backward;                                \
    extern __typeof__(eng_matmul_f16) prefix##matmul_f16;                                                                      \
    extern __typeof__(eng_sum_rows_f16) prefix##sum_rows_f16;                                                                  \
    extern __typeof__(eng_dense_f16) prefix##dense_f16;                                                                        \
    extern __typeof__(eng_conv2d_f16) prefix##conv2d_f16;                                                                      \
    extern __typeof__(eng_conv2d_f16_backward) prefix##conv2d_f16_backward;                                                    \
    extern __typeof__(eng_depthwise_conv2d_f16) prefix##depthwise_conv2d_f16;                                                  \
    extern __typeof__(eng_depthwise_conv2d_f16_backward) prefix##depthwise_conv2d_f16_backward;                                \
    extern __typeof__(eng_conv2d_max_pool2d_f32) prefix##conv2d_max_pool2d_f32;                                                \
    extern __typeof__(eng_conv2d_max_pool2d_f32_backward) prefix##conv2d_max_pool2d_f32_backward;                              \
    extern __typeof__(eng_sgd_f32) prefix##sgd_f32;                                                                            \
    extern __typeof__(eng_adam_f32) prefix##adam_f32;                                                                          \
    extern __typeof__(eng_round_f16) prefix##round_f16

ENG_DECLARE(eng_avx2_);
ENG_DECLARE(eng_avx512vnni_);

#endif
