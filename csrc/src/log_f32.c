/* SPDX-License-Identifier: Apache-2.0 */
/* Reduction and polynomial: S. Moshier, Cephes Mathematical Library, logf. */
#include "eng/math_f32.h"

#include <math.h>
#include <string.h>

#include "ln2_f32.h"

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

/* The rounding error of 1 + x, known exactly as (1 + x) - 1, is divided out: W. Kahan's method, see N. Higham, "Accuracy and
 * Stability of Numerical Algorithms", section 1.14.1. */
float eng_log1p_f32(float x)
{
    const float sum = 1.0f + x;
    return sum == 1.0f ? x : eng_log_f32(sum) * (x / (sum - 1.0f));
}
