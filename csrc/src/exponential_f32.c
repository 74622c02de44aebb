/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/layer_f32.h"

#include "eng/math_f32.h"

void eng_exponential_f32(size_t count, const float *x, float *y)
{
    for (size_t i = 0; i < count; ++i) {
        y[i] = eng_exp_f32(x[i]);
    }
}

void eng_exponential_f32_backward(size_t count, const float *y, const float *dy, float *dx)
{
    for (size_t i = 0; i < count; ++i) {
        dx[i] = dy[i] * y[i];
    }
}
