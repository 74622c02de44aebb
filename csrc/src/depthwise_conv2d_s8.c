/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/flash.h"
#include "eng/infer_s8.h"

/* x: first tap inside the image, its channel; w: the weight of that tap. */
static int32_t sum_of_taps(const eng_conv2d_s8_params *p, const eng_span *rows, const eng_span *columns, const int8_t *x,
                           const int8_t *w)
{
    const eng_window *v = &p->window;
    const size_t x_step = (size_t)v->dilation_w * p->in_c;
    int32_t sum = 0;
    for (uint16_t i = 0; i < rows->count; ++i) {
        const int8_t *xi = x + (size_t)i * v->dilation_h * v->in_w * p->in_c;
        const int8_t *wi = w + (size_t)i * v->kernel_w * p->out_c;
        for (uint16_t j = 0; j < columns->count; ++j) {
            sum += (int32_t)(xi[0] - p->zero_x) * eng_flash_s8(wi);
            xi += x_step;
            wi += p->out_c;
        }
    }
    return sum;
}

static void all_channels(const eng_conv2d_s8_params *p, const eng_span *rows, const eng_span *columns, const int8_t *x,
                         const int8_t *w, const int32_t *bias, int8_t *y)
{
    const uint16_t multiplier = p->out_c / p->in_c;
    const eng_rescale *rescale = p->rescale;
    uint16_t copies = multiplier;
    x += ((size_t)rows->pixel * p->window.in_w + columns->pixel) * p->in_c;
    w += ((size_t)rows->first * p->window.kernel_w + columns->first) * p->out_c;
    for (uint16_t n = 0; n < p->out_c; ++n) {
        const int32_t acc = eng_flash_s32(bias + n) + sum_of_taps(p, rows, columns, x, w + n);
        const eng_rescale r = eng_flash_rescale(rescale);
        y[n] = eng_requant_double_s8(acc, &r, &p->y);
        rescale += p->rescale_step;
        if (--copies == 0) {
            copies = multiplier;
            ++x;
        }
    }
}

void eng_depthwise_conv2d_s8(const eng_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y)
{
    for (uint16_t row = 0; row < p->window.out_h; ++row) {
        const eng_span rows = eng_span_rows(&p->window, row);
        for (uint16_t column = 0; column < p->window.out_w; ++column) {
            const eng_span columns = eng_span_columns(&p->window, column);
            all_channels(p, &rows, &columns, x, w, bias, y);
            y += p->out_c;
        }
    }
}
