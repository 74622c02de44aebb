/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/math_f32.h"
#include "eng/train_f32.h"

/* exp(x - best) summed; stored in dx too, if there is one. The logit of the label is read before. */
static float exponentials(uint16_t classes, float best, const float *x, float *dx)
{
    float sum = 0.0f;
    for (uint16_t k = 0; k < classes; ++k) {
        const float e = eng_exp_f32(x[k] - best);
        sum += e;
        if (dx) {
            dx[k] = e;
        }
    }
    return sum;
}

static void cross_entropy_gradient(const eng_softmax_f32_params *p, uint16_t label, float sum, float *dx)
{
    const float rows = (float)p->rows;
    for (uint16_t k = 0; k < p->classes; ++k) {
        const float y = dx[k] / sum;
        dx[k] = (k == label ? y - 1.0f : y) / rows;
    }
}

void eng_softmax_cross_entropy_f32(const eng_softmax_f32_params *p, const float *x, const uint16_t *label, float *loss,
                                   float *dx)
{
    for (size_t i = 0; i < p->rows; ++i) {
        const float best = eng_max_f32(p->classes, x);
        const float right = x[label[i]];
        const float sum = exponentials(p->classes, best, x, dx);
        loss[i] = eng_log_f32(sum) + (best - right);
        x += p->classes;
        if (dx) {
            cross_entropy_gradient(p, label[i], sum, dx);
            dx += p->classes;
        }
    }
}
