/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "eng/tensor_s8.h"

void eng_copy_s8(const eng_copy_s8_params *p, const int8_t *x, int8_t *y)
{
    y += p->first;
    for (uint32_t row = 0; row < p->rows; ++row) {
        memcpy(y, x, (size_t)p->size);
        x += p->size;
        y += p->stride;
    }
}
