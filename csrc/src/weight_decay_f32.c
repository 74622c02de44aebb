/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/update_f32.h"

void eng_weight_decay_f32(const eng_weight_decay_f32_params *p, float *w)
{
    for (size_t i = 0; i < p->count; ++i) {
        w[i] -= w[i] * p->weight_decay * p->learning_rate;
    }
}
