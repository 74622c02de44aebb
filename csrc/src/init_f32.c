/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

#include <math.h>

/* Standard deviation of a standard normal truncated at two deviations. */
#define TRUNCATED_DEVIATION 0.87962566f

void eng_init_uniform_f32(eng_rng *rng, size_t count, float limit, float *w)
{
    for (size_t i = 0; i < count; ++i) {
        w[i] = limit * (2.0f * eng_rng_uniform_f32(rng) - 1.0f);
    }
}

void eng_init_normal_f32(eng_rng *rng, size_t count, float deviation, float *w)
{
    for (size_t i = 0; i < count; ++i) {
        float v = eng_rng_normal_f32(rng);
        while (v > 2.0f || v < -2.0f) {
            v = eng_rng_normal_f32(rng);
        }
        w[i] = deviation * v;
    }
}

float eng_he_limit_f32(uint32_t fan_in)
{
    return sqrtf(6.0f / (float)fan_in);
}

float eng_he_deviation_f32(uint32_t fan_in)
{
    return sqrtf(2.0f / (float)fan_in) / TRUNCATED_DEVIATION;
}

float eng_glorot_limit_f32(uint32_t fan_in, uint32_t fan_out)
{
    return sqrtf(6.0f / ((float)fan_in + (float)fan_out));
}

float eng_glorot_deviation_f32(uint32_t fan_in, uint32_t fan_out)
{
    return sqrtf(2.0f / ((float)fan_in + (float)fan_out)) / TRUNCATED_DEVIATION;
}
