/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/update_f32.h"

#include <math.h>

static float clamp(float x, float limit)
{
    const float low = x < -limit ? -limit : x;
    return low > limit ? limit : low;
}

void eng_ftrl_f32(const eng_ftrl_f32_params *p, const float *restrict dw, float *restrict w, float *restrict n,
                  float *restrict z)
{
    const float rate = p->learning_rate;
    const float ridge = 2.0f * (p->l2 + p->beta / (2.0f * rate));
    for (size_t i = 0; i < p->count; ++i) {
        const float square = dw[i] * dw[i];
        const float before = sqrtf(n[i]);
        n[i] += square;
        const float root = sqrtf(n[i]);
        const float growth = square / (root + before); /* root - before, without cancellation */
        z[i] += dw[i] + 2.0f * p->shrinkage * w[i] - growth / rate * w[i];
        w[i] = (clamp(z[i], p->l1) - z[i]) / (root / rate + ridge);
    }
}
