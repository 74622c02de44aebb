/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/infer_s8.h"

static int32_t sum_of_taps(const eng_pool_run *run, const int8_t *x)
{
    int32_t sum = 0;
    for (uint16_t i = 0; i < run->rows; ++i) {
        for (uint16_t j = 0; j < run->columns; ++j) {
            sum += x[i * run->row + j * run->column];
        }
    }
    return sum;
}

static int8_t mean(const eng_pool_run *run, int32_t sum)
{
    uint32_t t = (uint32_t)(sum + (int32_t)(run->count * 128)) + run->half;
    t -= t < run->below;
    const uint32_t quotient = run->mult == 0 ? t / run->count : (uint32_t)((uint64_t)t * run->mult >> 24);
    const int8_t code = (int8_t)((int32_t)quotient - 128);
    return code < run->lo ? run->lo : code > run->hi ? run->hi : code;
}

void eng_average_pool_run_s8(const eng_pool_run *run, int8_t *y)
{
    for (uint16_t n = 0; n < run->positions; ++n) {
        for (uint16_t c = 0; c < run->channels; ++c) {
            *y++ = mean(run, sum_of_taps(run, run->x + n * run->position + c));
        }
    }
}
