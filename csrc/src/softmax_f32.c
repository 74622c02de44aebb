/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

#include "eng/math_f32.h"

void eng_softmax_f32(const eng_softmax_f32_params *p, const float *x, float *y)
{
    for (size_t i = 0; i < p->rows; ++i) {
        const float best = eng_max_f32(p->classes, x);
        float sum = 0.0f;
        for (uint16_t k = 0; k < p->classes; ++k) {
            y[k] = eng_exp_f32(x[k] - best);
            sum += y[k];
        }
        for (uint16_t k = 0; k < p->classes; ++k) {
            y[k] /= sum;
        }
        x += p->classes;
        y += p->classes;
    }
}

void eng_softmax_f32_backward(const eng_softmax_f32_params *p, const float *y, const float *dy, float *dx)
{
    for (size_t i = 0; i < p->rows; ++i) {
        float sum = 0.0f;
        for (uint16_t k = 0; k < p->classes; ++k) {
            sum += dy[k] * y[k];
        }
        for (uint16_t k = 0; k < p->classes; ++k) {
            dx[k] = y[k] * (dy[k] - sum);
        }
        y += p->classes;
        dy += p->classes;
        dx += p->classes;
    }
}
