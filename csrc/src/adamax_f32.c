/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/update_f32.h"

#include "powers_f32.h"

void eng_adamax_f32(const eng_adam_f32_params *p, uint32_t t, const float *restrict dw, float *restrict w, float *restrict m,
                    float *restrict u)
{
    const float gain = 1.0f - p->beta1;
    const float correction = eng_complement_of_power(p->beta1, t);
    for (size_t i = 0; i < p->count; ++i) {
        const float size = dw[i] < 0.0f ? -dw[i] : dw[i];
        const float faded = p->beta2 * u[i];
        m[i] += (dw[i] - m[i]) * gain;
        u[i] = faded > size ? faded : size; /* this way round NaN of dw stays */
        w[i] -= p->learning_rate * m[i] / (correction * (u[i] + p->epsilon));
    }
}
