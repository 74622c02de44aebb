/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/loss_f32.h"

void eng_squared_hinge_f32(const eng_loss_f32_params *p, const float *x, const float *target, float *loss, float *dx)
{
    const float scale = 1.0f / ((float)p->rows * (float)p->cols);
    for (size_t i = 0; i < p->rows; ++i) {
        float sum = 0.0f;
        for (size_t j = 0; j < p->cols; ++j) {
            const float t = *target++;
            const float gap = 1.0f - t * *x++;
            const float missing = gap < 0.0f ? 0.0f : gap;
            sum += missing * missing;
            if (dx) {
                *dx++ = scale * (-2.0f * t * missing);
            }
        }
        loss[i] = sum / (float)p->cols;
    }
}
