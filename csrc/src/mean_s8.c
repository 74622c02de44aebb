/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/tensor_s8.h"

static int32_t sum_of_channel(const eng_mean_s8_params *p, const int8_t *x)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < p->pixels; ++i) {
        sum += *x - p->zero_x;
        x += p->channels;
    }
    return sum;
}

static int8_t write(int32_t v, const eng_output_s8 *y)
{
    const int32_t code = v > 512 ? 512 : v < -512 ? -512 : v;
    const int16_t shifted = (int16_t)(code + y->zero);
    return shifted < y->lo ? y->lo : shifted > y->hi ? y->hi : (int8_t)shifted;
}

void eng_mean_s8(const eng_mean_s8_params *p, const int8_t *x, int8_t *y)
{
    for (uint16_t c = 0; c < p->channels; ++c) {
        y[c] = write(eng_rescale_double(sum_of_channel(p, x + c), &p->rescale), &p->y);
    }
}
