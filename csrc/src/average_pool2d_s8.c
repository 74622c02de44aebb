/* SPDX-License-Identifier: Apache-2.0 */
#define RUN average_run
#include "eng/infer_s8.h"

/* Neighbours, with what their count of taps makes of sums. */
static void average_run(eng_pool_run *run, int8_t *y)
{
    const uint32_t count = (uint32_t)run->rows * run->columns;
    if (count != run->count) {
        run->count = count;
        run->half = count / 2;
        run->below = (count & 1) != 0 ? 0 : count * 128 + run->half;
        run->mult = count < 2 || count > 255 ? 0 : UINT32_C(0xffffff) / count + 1;
    }
    eng_average_pool_run_s8(run, y);
}

#include "pool2d_run.h"

void eng_average_pool2d_s8(const eng_pool2d_s8_params *p, const int8_t *x, int8_t *y)
{
    pool2d(p, x, y);
}
