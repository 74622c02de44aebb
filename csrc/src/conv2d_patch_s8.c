/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/dot.h"
#include "eng/infer_s8.h"

eng_conv2d_patch eng_conv2d_patch_at(const eng_conv2d_s8_params *p, const int8_t *x, const eng_span *rows,
                                     const eng_span *columns)
{
    const eng_window *v = &p->window;
    const uint16_t w_row = (uint16_t)((uint32_t)v->kernel_w * p->in_c);
    eng_conv2d_patch patch;
    patch.x = x + ((size_t)rows->pixel * v->in_w + columns->pixel) * p->in_c;
    patch.w_first = (uint16_t)((uint32_t)rows->first * w_row + (uint32_t)columns->first * p->in_c);
    patch.rows = rows->count;
    patch.runs = v->dilation_w == 1 ? 1 : columns->count;
    patch.run = v->dilation_w == 1 ? (uint16_t)((uint32_t)columns->count * p->in_c) : p->in_c;
    patch.taps = (uint16_t)((uint32_t)rows->count * columns->count * p->in_c);
    patch.w_row = w_row;
    patch.w_run = p->in_c;
    patch.x_row = (size_t)v->dilation_h * v->in_w * p->in_c;
    patch.x_run = (size_t)v->dilation_w * p->in_c;
    return patch;
}

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
