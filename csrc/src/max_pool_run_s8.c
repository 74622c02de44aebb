/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/infer_s8.h"

static void take_larger(const int8_t *x, uint16_t n, int8_t *y)
{
    for (uint16_t c = 0; c < n; ++c) {
        y[c] = x[c] > y[c] ? x[c] : y[c];
    }
}

static void one_position(const eng_pool_run *run, const int8_t *x, int8_t *y)
{
    /* Starting from lo, and cutting at hi in the end, is the clamp. */
    for (uint16_t c = 0; c < run->channels; ++c) {
        y[c] = run->lo;
    }
    for (uint16_t i = 0; i < run->rows; ++i) {
        for (uint16_t j = 0; j < run->columns; ++j) {
            take_larger(x + i * run->row + j * run->column, run->channels, y);
        }
    }
    for (uint16_t c = 0; c < run->channels; ++c) {
        y[c] = y[c] > run->hi ? run->hi : y[c];
    }
}

void eng_max_pool_run_s8(const eng_pool_run *run, int8_t *y)
{
    for (uint16_t n = 0; n < run->positions; ++n) {
        one_position(run, run->x + n * run->position, y);
        y += run->channels;
    }
}
