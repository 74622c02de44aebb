/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/layer_f32.h"

#include "eng/math_f32.h"

void eng_sigmoid_f32(size_t count, const float *x, float *y)
{
    for (size_t i = 0; i < count; ++i) {
        const float v = x[i];
        const float e = eng_exp_f32(v < 0.0f ? v : -v); /* at most 1: no overflow */
        y[i] = (v < 0.0f ? e : 1.0f) / (1.0f + e);
    }
}

void eng_sigmoid_f32_backward(size_t count, const float *y, const float *dy, float *dx)
{
    for (size_t i = 0; i < count; ++i) {
        dx[i] = dy[i] * y[i] * (1.0f - y[i]);
    }
}
