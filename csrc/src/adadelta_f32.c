/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/update_f32.h"

#include <math.h>

void eng_adadelta_f32(const eng_adadelta_f32_params *p, const float *restrict dw, float *restrict w, float *restrict v,
                      float *restrict u)
{
    const float rho = p->rho;
    const float gain = 1.0f - rho;
    for (size_t i = 0; i < p->count; ++i) {
        v[i] = rho * v[i] + gain * (dw[i] * dw[i]);
        const float step = sqrtf(u[i] + p->epsilon) * dw[i] / sqrtf(v[i] + p->epsilon);
        u[i] = rho * u[i] + gain * (step * step);
        w[i] -= p->learning_rate * step;
    }
}
