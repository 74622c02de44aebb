/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/infer_s8.h"

static void take_larger(const int8_t *x, uint16_t n, int8_t *y)
{
    for (uint16_t c = 0; c < n; ++c) {
        y[c] = x[c] > y[c] ? x[c] : y[c];
    }
}

static void one_position(const eng_pool2d_s8_params *p, const int8_t *x, const eng_span *rows, const eng_span *columns,
                         int8_t *y)
{
    const eng_window *v = &p->window;
    /* Starting from lo, and cutting at hi in the end, is the clamp. */
    for (uint16_t c = 0; c < p->channels; ++c) {
        y[c] = p->lo;
    }
    for (uint16_t i = 0; i < rows->count; ++i) {
        const int8_t *xi = x + ((rows->pixel + (size_t)i * v->dilation_h) * v->in_w + columns->pixel) * p->channels;
        for (uint16_t j = 0; j < columns->count; ++j) {
            take_larger(xi, p->channels, y);
            xi += (size_t)v->dilation_w * p->channels;
        }
    }
    for (uint16_t c = 0; c < p->channels; ++c) {
        y[c] = y[c] > p->hi ? p->hi : y[c];
    }
}

void eng_max_pool2d_s8(const eng_pool2d_s8_params *p, const int8_t *x, int8_t *y)
{
    for (uint16_t row = 0; row < p->window.out_h; ++row) {
        const eng_span rows = eng_span_rows(&p->window, row);
        for (uint16_t column = 0; column < p->window.out_w; ++column) {
            const eng_span columns = eng_span_columns(&p->window, column);
            one_position(p, x, &rows, &columns, y);
            y += p->channels;
        }
    }
}
