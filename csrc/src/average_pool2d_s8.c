/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/infer_s8.h"

static int32_t sum_of_taps(const eng_pool2d_s8_params *p, const int8_t *x, const eng_span *rows, const eng_span *columns)
{
    const eng_window *v = &p->window;
    int32_t sum = 0;
    for (uint16_t i = 0; i < rows->count; ++i) {
        const int8_t *xi = x + ((rows->pixel + (size_t)i * v->dilation_h) * v->in_w + columns->pixel) * p->channels;
        for (uint16_t j = 0; j < columns->count; ++j) {
            sum += *xi;
            xi += (size_t)v->dilation_w * p->channels;
        }
    }
    return sum;
}

/* sum / count to nearest, ties away from zero; in [-128, 127] because every tap is. */
static int8_t mean(int32_t sum, uint32_t count)
{
    const uint32_t magnitude = sum < 0 ? UINT32_C(0) - (uint32_t)sum : (uint32_t)sum;
    const int32_t rounded = (int32_t)((magnitude + count / 2) / count);
    return (int8_t)(sum < 0 ? -rounded : rounded);
}

static void one_position(const eng_pool2d_s8_params *p, const int8_t *x, const eng_span *rows, const eng_span *columns,
                         int8_t *y)
{
    const uint32_t count = (uint32_t)rows->count * columns->count;
    for (uint16_t c = 0; c < p->channels; ++c) {
        const int8_t code = mean(sum_of_taps(p, x + c, rows, columns), count);
        y[c] = code < p->lo ? p->lo : code > p->hi ? p->hi : code;
    }
}

void eng_average_pool2d_s8(const eng_pool2d_s8_params *p, const int8_t *x, int8_t *y)
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
