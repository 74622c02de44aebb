/* SPDX-License-Identifier: Apache-2.0 */
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
