/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/flash.h"
#include "eng/infer_s8.h"

/* Largest accumulator of channel n over the pool's taps, which are positions of the convolution's output. */
static int32_t largest(const eng_conv2d_max_pool2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                       const eng_span *rows, const eng_span *columns, uint16_t n)
{
    int32_t best = INT32_MIN;
    for (uint16_t i = 0; i < rows->count; ++i) {
        const eng_span conv_rows = eng_span_rows(&p->conv.window, (uint16_t)(rows->pixel + i * p->pool.dilation_h));
        for (uint16_t j = 0; j < columns->count; ++j) {
            const uint16_t column = (uint16_t)(columns->pixel + j * p->pool.dilation_w);
            const eng_span conv_columns = eng_span_columns(&p->conv.window, column);
            const int32_t acc = eng_conv2d_acc_s8(&p->conv, x, w, bias, &conv_rows, &conv_columns, n);
            best = acc > best ? acc : best;
        }
    }
    return best;
}

static void all_channels(const eng_conv2d_max_pool2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                         const eng_span *rows, const eng_span *columns, int8_t *y)
{
    const eng_rescale *rescale = p->conv.rescale;
    for (uint16_t n = 0; n < p->conv.out_c; ++n) {
        const eng_rescale r = eng_flash_rescale(rescale);
        y[n] = eng_requant_double_s8(largest(p, x, w, bias, rows, columns, n), &r, &p->conv.y);
        rescale += p->conv.rescale_step;
    }
}

void eng_conv2d_max_pool2d_s8(const eng_conv2d_max_pool2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                              int8_t *y)
{
    for (uint16_t row = 0; row < p->pool.out_h; ++row) {
        const eng_span rows = eng_span_rows(&p->pool, row);
        for (uint16_t column = 0; column < p->pool.out_w; ++column) {
            const eng_span columns = eng_span_columns(&p->pool, column);
            all_channels(p, x, w, bias, &rows, &columns, y);
            y += p->conv.out_c;
        }
    }
}
