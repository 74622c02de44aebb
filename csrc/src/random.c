/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/random.h"

#include "eng/math_f32.h"

#include <math.h>

static uint32_t finalize(uint32_t z)
{
    z = (z ^ (z >> 16)) * UINT32_C(0x85EBCA6B);
    z = (z ^ (z >> 13)) * UINT32_C(0xC2B2AE35);
    return z ^ (z >> 16);
}

void eng_rng_seed(eng_rng *rng, uint32_t seed)
{
    for (uint8_t i = 0; i < 4; ++i) {
        seed += UINT32_C(0x9E3779B9);
        rng->state[i] = finalize(seed);
    }
}

uint32_t eng_rng_below(eng_rng *rng, uint32_t n)
{
    const uint32_t reject = (UINT32_MAX - n + 1) % n; /* 2^32 mod n */
    uint32_t v = eng_rng_next(rng);
    while (v < reject) {
        v = eng_rng_next(rng);
    }
    return v % n;
}

float eng_rng_uniform_f32(eng_rng *rng)
{
    return (float)(eng_rng_next(rng) >> 8) * (1.0f / 16777216.0f);
}

float eng_rng_normal_f32(eng_rng *rng)
{
    for (;;) {
        const float u = 2.0f * eng_rng_uniform_f32(rng) - 1.0f;
        const float v = 2.0f * eng_rng_uniform_f32(rng) - 1.0f;
        const float s = u * u + v * v;
        if (s > 0.0f && s < 1.0f) {
            return u * sqrtf(-2.0f * eng_log_f32(s) / s);
        }
    }
}

void eng_shuffle_u32(eng_rng *rng, uint32_t n, uint32_t *index)
{
    for (uint32_t i = n; i > 1; --i) {
        const uint32_t j = eng_rng_below(rng, i);
        const uint32_t last = index[i - 1];
        index[i - 1] = index[j];
        index[j] = last;
    }
}
