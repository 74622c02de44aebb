/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/random.h"

static uint32_t rotate(uint32_t v, uint8_t left)
{
    return (v << left) | (v >> (32 - left));
}

uint32_t eng_rng_next(eng_rng *rng)
{
    uint32_t *s = rng->state;
    const uint32_t result = rotate(s[0] + s[3], 7) + s[0];
    const uint32_t t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 11);
    return result;
}
