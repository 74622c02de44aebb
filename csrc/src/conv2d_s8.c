/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/flash.h"
#include "eng/infer_s8.h"

static void all_channels(const eng_conv2d_s8_params *p, const eng_conv2d_patch *patch, const int8_t *w, const int32_t *bias,
                         int8_t *y)
{
    const size_t size = (size_t)p->window.kernel_h * patch->w_row;
    const eng_rescale *rescale = p->rescale;
    for (uint16_t n = 0; n < p->out_c; ++n) {
        const int32_t acc = eng_conv2d_patch_sum(patch, p->zero_x, w, eng_flash_s32(bias + n));
        const eng_rescale r = eng_flash_rescale(rescale);
        y[n] = eng_requant_double_s8(acc, &r, &p->y);
        w += size;
        rescale += p->rescale_step;
    }
}

void eng_conv2d_s8(const eng_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y)
{
    for (uint16_t row = 0; row < p->window.out_h; ++row) {
        const eng_span rows = eng_span_rows(&p->window, row);
        for (uint16_t column = 0; column < p->window.out_w; ++column) {
            const eng_span columns = eng_span_columns(&p->window, column);
            const eng_conv2d_patch patch = eng_conv2d_patch_at(p, x, &rows, &columns);
            all_channels(p, &patch, w, bias, y);
            y += p->out_c;
        }
    }
}
