/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_int.h"

enum { ERROR_BITS = 7, MOST_BITS = 22 };

static uint32_t magnitude(int32_t v)
{
    return v < 0 ? (uint32_t)-v : (uint32_t)v;
}

static uint32_t largest(size_t count, const int32_t *dy)
{
    uint32_t best = 0;
    for (size_t i = 0; i < count; ++i) {
        const uint32_t m = magnitude(dy[i]);
        best = m > best ? m : best;
    }
    return best;
}

static uint8_t bits_of(uint32_t v)
{
    uint8_t bits = 0;
    for (; v != 0; v >>= 1) {
        ++bits;
    }
    return bits;
}

/* |product| <= 2^22 * 255 and r < 2^23: the sum is below 2^31. */
static int8_t rounded(int32_t product, uint8_t shift, eng_rng *rng)
{
    const int32_t r = (int32_t)(eng_rng_next(rng) & ((UINT32_C(1) << shift) - 1));
    const int32_t v = (product + r) >> shift;
    if (v < -127) {
        return -127;
    }
    return v > 127 ? 127 : (int8_t)v;
}

int16_t eng_errors_int(const eng_errors_int_params *p, eng_rng *rng, const int32_t *dy, int8_t *h)
{
    const uint32_t most = largest(p->count, dy);
    const uint8_t bits = bits_of(most);
    const uint8_t cut = (uint8_t)(bits > MOST_BITS ? bits - MOST_BITS : 0);
    const uint8_t product = bits_of((most >> cut) * p->mult);
    const uint8_t shift = (uint8_t)(product > ERROR_BITS ? product - ERROR_BITS : 0);
    for (size_t i = 0; i < p->count; ++i) {
        h[i] = dy[i] == 0 ? 0 : rounded((dy[i] >> cut) * p->mult, shift, rng);
    }
    return (int16_t)(cut + shift);
}
