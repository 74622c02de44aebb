/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/update_f32.h"

#include <math.h>

/* The second moment, or the variance if the first moment is known. */
static float spread(const eng_rmsprop_f32_params *p, float dw, float v, float *average)
{
    if (!average) {
        return v;
    }
    *average = p->rho * *average + (1.0f - p->rho) * dw;
    const float variance = v - *average * *average;
    return variance < 0.0f ? 0.0f : variance;
}

void eng_rmsprop_f32(const eng_rmsprop_f32_params *p, const float *restrict dw, float *restrict w, float *restrict v,
                     float *restrict velocity, float *restrict average)
{
    const float rho = p->rho;
    for (size_t i = 0; i < p->count; ++i) {
        v[i] = rho * v[i] + (1.0f - rho) * (dw[i] * dw[i]);
        const float root = sqrtf(spread(p, dw[i], v[i], average ? average + i : average) + p->epsilon);
        float step = p->learning_rate * dw[i] / root;
        if (velocity) {
            step += p->momentum * velocity[i];
            velocity[i] = step;
        }
        w[i] -= step;
    }
}
