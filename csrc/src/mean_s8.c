/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/tensor_s8.h"

static int8_t write(int32_t v, const eng_output_s8 *y)
{
    const int32_t code = v > 512 ? 512 : v < -512 ? -512 : v;
    const int16_t shifted = (int16_t)(code + y->zero);
    return shifted < y->lo ? y->lo : shifted > y->hi ? y->hi : (int8_t)shifted;
}

void eng_mean_s8(const eng_mean_s8_params *p, const int8_t *x, int8_t *y)
{
    const int32_t zero = (int32_t)p->pixels * p->zero_x;
    for (uint16_t c = 0; c < p->channels; ++c) {
        y[c] = write(eng_rescale_double(eng_sum_s8(x + c, p->pixels, p->channels) - zero, &p->rescale), &p->y);
    }
}
