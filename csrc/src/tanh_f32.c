/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/layer_f32.h"

#include "eng/math_f32.h"

void eng_tanh_f32(size_t count, const float *x, float *y)
{
    for (size_t i = 0; i < count; ++i) {
        const float v = x[i];
        const float e = eng_expm1_f32(v < 0.0f ? v + v : -(v + v)); /* tanh |v| = -e / (2 + e) */
        y[i] = (v < 0.0f ? e : -e) / (2.0f + e);
    }
}

void eng_tanh_f32_backward(size_t count, const float *y, const float *dy, float *dx)
{
    for (size_t i = 0; i < count; ++i) {
        dx[i] = dy[i] * (1.0f - y[i] * y[i]);
    }
}
