/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/update_f32.h"

#include <math.h>

enum { BLOCK = 256 };

void eng_clip_f32(const eng_clip_f32_params *p, float *x)
{
    const float limit = p->limit;
    for (size_t i = 0; i < p->count; ++i) {
        const float low = x[i] < -limit ? -limit : x[i];
        x[i] = low > limit ? limit : low;
    }
}

float eng_sum_squares_f32(size_t count, const float *x)
{
    float total = 0.0f;
    while (count > 0) {
        const size_t n = count < BLOCK ? count : BLOCK;
        float sum = 0.0f;
        for (size_t i = 0; i < n; ++i) {
            sum += x[i] * x[i];
        }
        total += sum;
        count -= n;
        x += n;
    }
    return total;
}

float eng_clip_factor_f32(float sum_squares, float limit)
{
    const float norm = sqrtf(sum_squares);
    return norm > limit ? limit / norm : 1.0f;
}

void eng_scale_f32(size_t count, float factor, float *x)
{
    for (size_t i = 0; i < count; ++i) {
        x[i] *= factor;
    }
}
