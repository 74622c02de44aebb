/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

void eng_mse_f32(const eng_mse_f32_params *p, const float *x, const float *target, float *loss, float *dx)
{
    const float cols = (float)p->cols;
    const float scale = 2.0f / ((float)p->rows * cols);
    for (size_t i = 0; i < p->rows; ++i) {
        float sum = 0.0f;
        for (size_t j = 0; j < p->cols; ++j) {
            const float d = *x++ - *target++;
            sum += d * d;
            if (dx) {
                *dx++ = scale * d;
            }
        }
        loss[i] = sum / cols;
    }
}
