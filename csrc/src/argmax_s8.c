/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/infer_s8.h"

void eng_argmax_s8(const eng_argmax_s8_params *p, const int8_t *x, int32_t *y)
{
    for (uint32_t row = 0; row < p->rows; ++row) {
        uint16_t best = 0;
        for (uint16_t i = 1; i < p->size; ++i) {
            best = x[i] > x[best] ? i : best;
        }
        y[row] = best;
        x += p->size;
    }
}
