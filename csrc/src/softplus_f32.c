/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/layer_f32.h"

#include "eng/math_f32.h"

void eng_softplus_f32(size_t count, const float *x, float *y)
{
    for (size_t i = 0; i < count; ++i) {
        const float v = x[i];
        const float rest = eng_log1p_f32(eng_exp_f32(v < 0.0f ? v : -v));
        y[i] = v < 0.0f ? rest : v + rest;
    }
}

void eng_softplus_f32_backward(size_t count, const float *y, const float *dy, float *dx)
{
    for (size_t i = 0; i < count; ++i) {
        dx[i] = dy[i] * -eng_expm1_f32(-y[i]);
    }
}
