/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/update_f32.h"

#include <math.h>

void eng_adagrad_f32(const eng_adagrad_f32_params *p, const float *restrict dw, float *restrict w, float *restrict sum)
{
    for (size_t i = 0; i < p->count; ++i) {
        sum[i] += dw[i] * dw[i];
        w[i] -= p->learning_rate * dw[i] / sqrtf(sum[i] + p->epsilon);
    }
}
