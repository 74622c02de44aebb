/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/layer_f32.h"

void eng_leaky_relu_f32(const eng_leaky_relu_f32_params *p, const float *x, float *y)
{
    for (size_t i = 0; i < p->count; ++i) {
        y[i] = x[i] > 0.0f ? x[i] : p->slope * x[i];
    }
}

void eng_leaky_relu_f32_backward(const eng_leaky_relu_f32_params *p, const float *y, const float *dy, float *dx)
{
    for (size_t i = 0; i < p->count; ++i) {
        dx[i] = y[i] > 0.0f ? dy[i] : p->slope * dy[i];
    }
}
