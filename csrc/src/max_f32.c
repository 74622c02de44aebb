/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/math_f32.h"

float eng_max_f32(size_t n, const float *x)
{
    float best = x[0];
    for (size_t k = 1; k < n; ++k) {
        best = x[k] > best ? x[k] : best;
    }
    return best;
}
