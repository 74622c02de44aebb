/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions and polynomials: S. Moshier, Cephes Mathematical Library, expf and logf. */
#include "eng/math_f32.h"

#include <math.h>
#include <string.h>

/* ln 2 in two parts: n * LN2_HIGH is exact for |n| < 2^15. */
#define LN2_HIGH 0.693359375f
#define LN2_LOW  -2.12194440e-4f

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

float eng_log_f32(float x)
{
    if (!(x < (float)INFINITY)) {
        return x;
    }
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    int16_t n = (int16_t)((int16_t)(bits >> 23) - 126);
    bits = (bits & UINT32_C(0x007FFFFF)) | UINT32_C(0x3F000000);
    float m;
    memcpy(&m, &bits, sizeof m); /* x = m * 2^n, m in [0.5, 1) */
    if (m < 0.707106781f) {
        n = (int16_t)(n - 1);
        m = m + m;
    }
    const float r = m - 1.0f;
    float y = 7.0376836292e-2f;
    y = y * r - 1.1514610310e-1f;
    y = y * r + 1.1676998740e-1f;
    y = y * r - 1.2420140846e-1f;
    y = y * r + 1.4249322787e-1f;
    y = y * r - 1.6668057665e-1f;
    y = y * r + 2.0000714765e-1f;
    y = y * r - 2.4999993993e-1f;
    y = y * r + 3.3333331174e-1f;
    const float z = r * r;
    y = y * r * z + (float)n * LN2_LOW - 0.5f * z;
    return r + y + (float)n * LN2_HIGH;
}

float eng_expm1_f32(float x)
{
    return x > -0.34f ? exp_reduced(x) : eng_exp_f32(x) - 1.0f;
}

/* The rounding error of 1 + x, known exactly as (1 + x) - 1, is divided out: W. Kahan's method, see N. Higham, "Accuracy and
 * Stability of Numerical Algorithms", section 1.14.1. */
float eng_log1p_f32(float x)
{
    const float sum = 1.0f + x;
    return sum == 1.0f ? x : eng_log_f32(sum) * (x / (sum - 1.0f));
}

float eng_max_f32(size_t n, const float *x)
{
    float best = x[0];
    for (size_t k = 1; k < n; ++k) {
        best = x[k] > best ? x[k] : best;
    }
    return best;
}
