/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of train_f16.h for the layers of this folder; include before them. */
#ifndef ENG_HALF_F16_H
#define ENG_HALF_F16_H

#include "eng/train_f16.h"

#define ENG_ADD(a, b)               eng_nearest_f16((a) + (b))
#define ENG_MULTIPLY_ADD(sum, a, b) eng_nearest_f16((sum) + eng_nearest_f16((a) * (b)))

#define eng_matmul_f32                    eng_matmul_f16
#define eng_sum_rows_f32                  eng_sum_rows_f16
#define eng_dense_f32                     eng_dense_f16
#define eng_dense_f32_backward            eng_dense_f16_backward
#define eng_dense_f32_scratch             eng_dense_f16_scratch
#define eng_conv2d_f32                    eng_conv2d_f16
#define eng_conv2d_f32_backward           eng_conv2d_f16_backward
#define eng_conv2d_f32_scratch            eng_conv2d_f16_scratch
#define eng_conv2d_f32_backward_scratch   eng_conv2d_f16_backward_scratch
#define eng_depthwise_conv2d_f32          eng_depthwise_conv2d_f16
#define eng_depthwise_conv2d_f32_backward eng_depthwise_conv2d_f16_backward

#endif
