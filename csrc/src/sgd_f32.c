/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

void eng_sgd_f32(const eng_sgd_f32_params *p, const float *restrict dw, float *restrict w, float *restrict velocity)
{
    const float rate = p->learning_rate;
    const float momentum = p->momentum;
    if (!velocity) {
        for (size_t i = 0; i < p->count; ++i) {
            w[i] -= rate * dw[i];
        }
        return;
    }
    for (size_t i = 0; i < p->count; ++i) {
        velocity[i] = momentum * velocity[i] - rate * dw[i];
        w[i] += velocity[i];
    }
}
