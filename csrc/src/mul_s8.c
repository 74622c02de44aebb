/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/broadcast.h"

void eng_mul_s8(const eng_mul_s8_params *p, const int8_t *x, const int8_t *x2, int8_t *y)
{
    eng_walk a = eng_walk_start(&p->x, x), b = eng_walk_start(&p->x2, x2);
    for (uint32_t i = 0; i < p->count; ++i) {
        const int32_t left = eng_walk_next(&a) - p->zero_x;
        const int32_t right = eng_walk_next(&b) - p->zero_x2;
        y[i] = eng_requant_double_s8(left * right, &p->rescale, &p->y);
    }
}
