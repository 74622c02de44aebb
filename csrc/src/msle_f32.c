/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/loss_f32.h"

#include "eng/math_f32.h"

#define FLOOR 1e-7f

/* log(1 + max(x, FLOOR)) */
static float log_above_one(float x)
{
    const float v = x < FLOOR ? FLOOR : x;
    return v < 1.0f ? eng_log1p_f32(v) : eng_log_f32(v + 1.0f);
}

void eng_msle_f32(const eng_loss_f32_params *p, const float *x, const float *target, float *loss, float *dx)
{
    const float scale = 1.0f / ((float)p->rows * (float)p->cols);
    for (size_t i = 0; i < p->rows; ++i) {
        float sum = 0.0f;
        for (size_t j = 0; j < p->cols; ++j) {
            const float v = *x++;
            const float ratio = log_above_one(v) - log_above_one(*target++);
            const float slope = v < FLOOR ? 0.0f : 2.0f * ratio / (v + 1.0f);
            sum += ratio * ratio;
            if (dx) {
                *dx++ = scale * slope;
            }
        }
        loss[i] = sum / (float)p->cols;
    }
}
