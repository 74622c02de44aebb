/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/layer_f32.h"

static void select(const eng_dropout_f32_params *p, const uint8_t *kept, const float *x, float *y)
{
    const float scale = 1.0f / (1.0f - p->rate);
    for (size_t i = 0; i < p->count; ++i) {
        y[i] = x[i] * (kept[i] ? scale : 0.0f); /* a product, so that NaN stays NaN */
    }
}

void eng_dropout_f32(const eng_dropout_f32_params *p, eng_rng *rng, const float *x, uint8_t *kept, float *y)
{
    for (size_t i = 0; i < p->count; ++i) {
        kept[i] = eng_rng_uniform_f32(rng) >= p->rate;
    }
    select(p, kept, x, y);
}

void eng_dropout_f32_backward(const eng_dropout_f32_params *p, const uint8_t *kept, const float *dy, float *dx)
{
    select(p, kept, dy, dx);
}
