/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f16.h"

#include <string.h>

#define SIGN       UINT32_C(0x80000000)
#define INFINITE   UINT32_C(0x7F800000)
#define QUIET      UINT32_C(0x00400000)
#define BEYOND     UINT32_C(0x47800000) /* 65536: the first power of two that half does not have */
#define NORMAL     UINT32_C(0x38800000) /* 2^-14: the smallest normal half */
#define LOST       UINT32_C(0x00001FFF) /* bits of the fraction that half does not have */
#define HALF_OF_IT UINT32_C(0x00000FFF)

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

float eng_nearest_f16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t sign = bits & SIGN;
    const uint32_t size = bits & ~SIGN;
    if (size > INFINITE) {
        return from_bits((bits | QUIET) & ~LOST);
    }
    if (size >= NORMAL) {
        const uint32_t rounded = (size + HALF_OF_IT + ((size >> 13) & 1)) & ~LOST;
        return from_bits(sign | (rounded >= BEYOND ? INFINITE : rounded));
    }
    /* In [0.5, 1) floats are 2^-24 apart, as subnormal halves are. */
    const float rounded = (from_bits(size) + 0.5f) - 0.5f;
    memcpy(&bits, &rounded, sizeof bits);
    return from_bits(sign | bits);
}

void eng_round_f16(size_t count, const float *x, float *y)
{
    for (size_t i = 0; i < count; ++i) {
        y[i] = eng_nearest_f16(x[i]);
    }
}
