/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

#include "powers_f32.h"

#include <math.h>

void eng_adam_f32(const eng_adam_f32_params *p, uint32_t t, const float *restrict dw, float *restrict w, float *restrict m,
                  float *restrict v)
{
    const float gain1 = 1.0f - p->beta1;
    const float gain2 = 1.0f - p->beta2;
    const float epsilon = p->epsilon;
    const float rate = p->learning_rate * sqrtf(eng_complement_of_power(p->beta2, t)) / eng_complement_of_power(p->beta1, t);
    for (size_t i = 0; i < p->count; ++i) {
        m[i] += (dw[i] - m[i]) * gain1;
        v[i] += (dw[i] * dw[i] - v[i]) * gain2;
        w[i] -= rate * m[i] / (sqrtf(v[i]) + epsilon);
    }
}
