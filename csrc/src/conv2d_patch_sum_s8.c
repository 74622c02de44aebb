/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/dot.h"
#include "eng/infer_s8.h"

/* One run of every row: biased sum of x * w. */
static uint32_t column(const eng_conv2d_patch *patch, const int8_t *x, const int8_t *w, uint32_t sum)
{
    for (uint16_t i = patch->rows; i != 0; --i) {
        sum = eng_dot_biased(sum, x, w, patch->run);
        x += patch->x_row;
        w += patch->w_row;
    }
    return sum;
}

/* One run of every row: biased sum of (x - zero_x) * w. */
static uint32_t column_zero(const eng_conv2d_patch *patch, int8_t zero_x, const int8_t *x, const int8_t *w, uint32_t sum)
{
    for (uint16_t i = patch->rows; i != 0; --i) {
        sum = eng_dot_zero_biased(sum, x, zero_x, w, patch->run);
        x += patch->x_row;
        w += patch->w_row;
    }
    return sum;
}

int32_t eng_conv2d_patch_sum(const eng_conv2d_patch *patch, int8_t zero_x, const int8_t *w, int32_t bias)
{
    const int8_t *x = patch->x;
    uint32_t sum = 0;
    w += patch->w_first;
    for (uint16_t j = patch->runs; j != 0; --j) {
        sum = zero_x == 0 ? column(patch, x, w, sum) : column_zero(patch, zero_x, x, w, sum);
        x += patch->x_run;
        w += patch->w_run;
    }
    return bias + eng_dot_unbiased(sum, patch->taps);
}
