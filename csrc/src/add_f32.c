/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/layer_f32.h"

void eng_add_f32(size_t count, const float *a, const float *b, float *y)
{
#pragma GCC ivdep
    for (size_t i = 0; i < count; ++i) {
        y[i] = a[i] + b[i];
    }
}
