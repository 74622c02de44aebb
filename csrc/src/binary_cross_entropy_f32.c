/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/loss_f32.h"

#include "eng/math_f32.h"

void eng_binary_cross_entropy_f32(const eng_loss_f32_params *p, const float *x, const float *target, float *loss, float *dx)
{
    const float scale = 1.0f / ((float)p->rows * (float)p->cols);
    for (size_t i = 0; i < p->rows; ++i) {
        float sum = 0.0f;
        for (size_t j = 0; j < p->cols; ++j) {
            const float v = *x++;
            const float t = *target++;
            const float e = eng_exp_f32(v < 0.0f ? v : -v);
            const float sigmoid = (v < 0.0f ? e : 1.0f) / (1.0f + e);
            sum += (v < 0.0f ? 0.0f : v) - v * t + eng_log1p_f32(e);
            if (dx) {
                *dx++ = scale * (sigmoid - t);
            }
        }
        loss[i] = sum / (float)p->cols;
    }
}
