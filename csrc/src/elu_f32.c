/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/layer_f32.h"

#include "eng/math_f32.h"

void eng_elu_f32(const eng_elu_f32_params *p, const float *x, float *y)
{
    for (size_t i = 0; i < p->count; ++i) {
        y[i] = x[i] > 0.0f ? x[i] : p->alpha * eng_expm1_f32(x[i]);
    }
}

void eng_elu_f32_backward(const eng_elu_f32_params *p, const float *y, const float *dy, float *dx)
{
    for (size_t i = 0; i < p->count; ++i) {
        dx[i] = y[i] > 0.0f ? dy[i] : dy[i] * (y[i] + p->alpha);
    }
}
