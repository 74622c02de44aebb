/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/update_f32.h"

#include "powers_f32.h"

#include <math.h>

/* mu(t) as a share of beta1. From 410 on 0.96^t / 2 < 2^-25 and the share is 1. */
enum { WARM = 410 };

static float share(uint32_t t)
{
    return t < WARM ? 1.0f - 0.5f * (1.0f - eng_complement_of_power(0.96f, t)) : 1.0f;
}

/* mu(1) * ... * mu(t) */
static float momentum_product(float beta1, uint32_t t)
{
    float product = 1.0f - eng_complement_of_power(beta1, t);
    for (uint32_t s = 1; s <= t && s < WARM; ++s) {
        product *= share(s);
    }
    return product;
}

void eng_nadam_f32(const eng_adam_f32_params *p, uint32_t t, const float *restrict dw, float *restrict w, float *restrict m,
                   float *restrict v)
{
    const float gain1 = 1.0f - p->beta1;
    const float gain2 = 1.0f - p->beta2;
    const float product = momentum_product(p->beta1, t);
    const float next = p->beta1 * share(t + 1);
    const float from_m = next / (1.0f - product * next);
    const float from_dw = (1.0f - p->beta1 * share(t)) / (1.0f - product);
    const float correction = eng_complement_of_power(p->beta2, t);
    for (size_t i = 0; i < p->count; ++i) {
        m[i] += (dw[i] - m[i]) * gain1;
        v[i] += (dw[i] * dw[i] - v[i]) * gain2;
        const float ahead = from_m * m[i] + from_dw * dw[i];
        w[i] -= p->learning_rate * ahead / (sqrtf(v[i] / correction) + p->epsilon);
    }
}
