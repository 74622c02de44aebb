/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

/* ivdep: working in place is no dependence between elements, and without it gcc falls back to scalar code there. */

void eng_relu_f32(const eng_relu_f32_params *p, const float *x, float *y)
{
    const float limit = p->limit;
#pragma GCC ivdep
    for (size_t i = 0; i < p->count; ++i) {
        const float v = x[i] < 0.0f ? 0.0f : x[i]; /* this way round NaN stays NaN */
        y[i] = v > limit ? limit : v;
    }
}

void eng_relu_f32_backward(const eng_relu_f32_params *p, const float *y, const float *dy, float *dx)
{
    const float limit = p->limit;
#pragma GCC ivdep
    for (size_t i = 0; i < p->count; ++i) {
        const float v = y[i];
        const float gradient = dy[i];
        const float open = v <= 0.0f ? 0.0f : gradient;
        dx[i] = v >= limit ? 0.0f : open;
    }
}
