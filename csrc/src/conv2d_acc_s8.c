/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/flash.h"
#include "eng/infer_s8.h"

int32_t eng_conv2d_acc_s8(const eng_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                          const eng_span *rows, const eng_span *columns, uint16_t n)
{
    const eng_window *v = &p->window;
    /* Undilated taps of a row are neighbours in x and in w: one run. Dilated ones are a run of in_c each. */
    const uint16_t runs = v->dilation_w == 1 ? 1 : columns->count;
    const uint16_t run = v->dilation_w == 1 ? (uint16_t)((uint32_t)columns->count * p->in_c) : p->in_c;
    int32_t acc = eng_flash_s32(bias + n);
    for (uint16_t i = 0; i < rows->count; ++i) {
        const size_t row_x = rows->pixel + (size_t)i * v->dilation_h;
        const size_t row_w = (size_t)n * v->kernel_h + rows->first + i;
        const int8_t *xi = x + (row_x * v->in_w + columns->pixel) * p->in_c;
        const int8_t *wi = w + (row_w * v->kernel_w + columns->first) * p->in_c;
        for (uint16_t j = 0; j < runs; ++j) {
            acc += p->zero_x == 0 ? eng_dot_s8(xi, wi, run) : eng_dot_zero_s8(xi, p->zero_x, wi, run);
            xi += (size_t)v->dilation_w * p->in_c;
            wi += p->in_c;
        }
    }
    return acc;
}
