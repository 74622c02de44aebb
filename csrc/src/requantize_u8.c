/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/infer_s8.h"

void eng_requantize_u8_s8(const eng_requantize_s8_params *p, const uint8_t *x, int8_t *y)
{
    for (uint32_t i = 0; i < p->count; ++i) {
        y[i] = eng_requant_double_s8((int16_t)x[i] - 128 - p->zero_x, &p->rescale, &p->y);
    }
}

void eng_requantize_s8_u8(const eng_requantize_s8_params *p, const int8_t *x, uint8_t *y)
{
    for (uint32_t i = 0; i < p->count; ++i) {
        y[i] = (uint8_t)(eng_requant_double_s8(x[i] - p->zero_x, &p->rescale, &p->y) + 128);
    }
}
