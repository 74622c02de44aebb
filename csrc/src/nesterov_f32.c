/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/update_f32.h"

void eng_nesterov_f32(const eng_sgd_f32_params *p, const float *restrict dw, float *restrict w, float *restrict velocity)
{
    const float rate = p->learning_rate;
    const float momentum = p->momentum;
    for (size_t i = 0; i < p->count; ++i) {
        const float step = rate * dw[i];
        velocity[i] = momentum * velocity[i] - step;
        w[i] += momentum * velocity[i] - step;
    }
}
