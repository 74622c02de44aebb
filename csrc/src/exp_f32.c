/* SPDX-License-Identifier: Apache-2.0 */
/* Reduction and polynomial: S. Moshier, Cephes Mathematical Library, expf. */
#include "eng/math_f32.h"

#include <math.h>
#include <string.h>

#include "ln2_f32.h"

static float power_of_two(int16_t n)
{
    const uint32_t bits = (uint32_t)(n + 127) << 23;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

/* e^r - 1, |r| <= ln(2) / 2 */
static float exp_reduced(float r)
{
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    return y * (r * r) + r;
}

float eng_exp_f32(float x)
{
    if (!(x >= -87.33f)) {
        return x < -87.33f ? 0.0f : x; /* x itself is NaN */
    }
    if (x > 88.72f) {
        return (float)INFINITY;
    }
    const int16_t n = (int16_t)(x * 1.44269504f + (x < 0.0f ? -0.5f : 0.5f));
    const float r = x - (float)n * LN2_HIGH - (float)n * LN2_LOW; /* |r| <= ln(2) / 2 */
    const float y = exp_reduced(r) + 1.0f;
    /* n = 128 has no power of two in float. */
    return n == 128 ? y * power_of_two(127) * 2.0f : y * power_of_two(n);
}

float eng_expm1_f32(float x)
{
    return x > -0.34f ? exp_reduced(x) : eng_exp_f32(x) - 1.0f;
}
