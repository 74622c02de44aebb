/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/broadcast.h"

/* sign: 1 adds, -1 subtracts. */
static void add(const eng_add_s8_params *p, const int8_t *x, const int8_t *x2, int8_t sign, int8_t *y)
{
    eng_walk a = eng_walk_start(&p->x, x), b = eng_walk_start(&p->x2, x2);
    for (uint32_t i = 0; i < p->count; ++i) {
        const int16_t left = (int16_t)(eng_walk_next(&a) - p->zero_x);
        const int16_t right = (int16_t)((eng_walk_next(&b) - p->zero_x2) * sign);
        const int32_t sum = eng_rescale_double(left * (INT32_C(1) << ENG_ADD_SHIFT), &p->rescale_x) +
                            eng_rescale_double(right * (INT32_C(1) << ENG_ADD_SHIFT), &p->rescale_x2);
        y[i] = eng_requant_double_s8(sum, &p->rescale_y, &p->y);
    }
}

void eng_add_s8(const eng_add_s8_params *p, const int8_t *x, const int8_t *x2, int8_t *y)
{
    add(p, x, x2, 1, y);
}

void eng_sub_s8(const eng_add_s8_params *p, const int8_t *x, const int8_t *x2, int8_t *y)
{
    add(p, x, x2, -1, y);
}
