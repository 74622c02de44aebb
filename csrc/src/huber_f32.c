/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/loss_f32.h"

void eng_huber_f32(const eng_huber_f32_params *p, const float *x, const float *target, float *loss, float *dx)
{
    const float scale = 1.0f / ((float)p->rows * (float)p->cols);
    for (size_t i = 0; i < p->rows; ++i) {
        float sum = 0.0f;
        for (size_t j = 0; j < p->cols; ++j) {
            const float e = *x++ - *target++;
            const float slope = e > p->delta ? p->delta : e < -p->delta ? -p->delta : e;
            sum += slope * (e - 0.5f * slope);
            if (dx) {
                *dx++ = scale * slope;
            }
        }
        loss[i] = sum / (float)p->cols;
    }
}
