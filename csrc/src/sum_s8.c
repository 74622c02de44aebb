/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/tensor_s8.h"

int32_t eng_sum_s8(const int8_t *x, uint32_t n, size_t step)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < n; ++i) {
        sum += x[i * step];
    }
    return sum;
}
