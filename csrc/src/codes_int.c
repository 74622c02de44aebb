/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_int.h"

void eng_codes_single_int(const eng_codes_int_params *p, const int32_t *acc, int8_t *y)
{
    for (size_t i = 0; i < p->count; ++i) {
        y[i] = eng_requant_single_s8(acc[i], &p->rescale, &p->y);
    }
}

void eng_codes_double_int(const eng_codes_int_params *p, const int32_t *acc, int8_t *y)
{
    for (size_t i = 0; i < p->count; ++i) {
        y[i] = eng_requant_double_s8(acc[i], &p->rescale, &p->y);
    }
}

void eng_relu_int_backward(const eng_relu_int_params *p, const int8_t *y, int32_t *dx)
{
    for (size_t i = 0; i < p->count; ++i) {
        if (y[i] <= p->lo || y[i] >= p->hi) {
            dx[i] = 0;
        }
    }
}
