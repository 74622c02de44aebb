/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/flash.h"
#include "eng/infer_s8.h"

static void all_channels(const eng_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                         const eng_span *rows, const eng_span *columns, int8_t *y)
{
    const eng_rescale *rescale = p->rescale;
    for (uint16_t n = 0; n < p->out_c; ++n) {
        const int32_t acc = eng_conv2d_acc_s8(p, x, w, bias, rows, columns, n);
        const eng_rescale r = eng_flash_rescale(rescale);
        y[n] = eng_requant_double_s8(acc, &r, &p->y);
        rescale += p->rescale_step;
    }
}

void eng_conv2d_s8(const eng_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y)
{
    for (uint16_t row = 0; row < p->window.out_h; ++row) {
        const eng_span rows = eng_span_rows(&p->window, row);
        for (uint16_t column = 0; column < p->window.out_w; ++column) {
            const eng_span columns = eng_span_columns(&p->window, column);
            all_channels(p, x, w, bias, &rows, &columns, y);
            y += p->out_c;
        }
    }
}
