/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/loss_f32.h"

#include "eng/math_f32.h"

typedef struct {
    float sum, weighted, total; /* of exp(x - best), of target * (x - best), of target */
} row_sums;

static row_sums sums_of_row(size_t cols, float best, const float *x, const float *target)
{
    row_sums s = {.sum = 0.0f, .weighted = 0.0f, .total = 0.0f};
    for (size_t n = 0; n < cols; ++n) {
        const float v = x[n] - best;
        s.sum += eng_exp_f32(v);
        s.weighted += target[n] * v;
        s.total += target[n];
    }
    return s;
}

void eng_categorical_cross_entropy_f32(const eng_loss_f32_params *p, const float *x, const float *target, float *loss,
                                       float *dx)
{
    const float rows = (float)p->rows;
    for (size_t i = 0; i < p->rows; ++i) {
        const float best = eng_max_f32(p->cols, x);
        const row_sums s = sums_of_row(p->cols, best, x, target);
        loss[i] = s.total * eng_log_f32(s.sum) - s.weighted;
        for (size_t n = 0; dx && n < p->cols; ++n) {
            dx[n] = (eng_exp_f32(x[n] - best) / s.sum * s.total - target[n]) / rows;
        }
        x += p->cols;
        target += p->cols;
        dx = dx ? dx + p->cols : dx;
    }
}
