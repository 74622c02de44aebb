/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/flash.h"
#include "eng/infer_s8.h"

/* Up to ENG_POOL_PATCHES of a pool's taps, which are positions of the convolution's output. */
typedef struct {
    eng_conv2d_patch patch[ENG_POOL_PATCHES];
    uint8_t count;
} batch;

static int32_t largest(const batch *b, int8_t zero_x, const int8_t *w, int32_t bias)
{
    int32_t best = INT32_MIN;
    for (uint8_t i = 0; i < b->count; ++i) {
        const int32_t acc = eng_conv2d_patch_sum(&b->patch[i], zero_x, w, bias);
        best = acc > best ? acc : best;
    }
    return best;
}

/* y[n] = max(y[n], requantized maximum of the batch), for all channels. */
static void take_larger(const eng_conv2d_s8_params *p, const batch *b, const int8_t *w, const int32_t *bias, int8_t *y)
{
    const size_t size = (size_t)p->window.kernel_h * b->patch[0].w_row;
    const eng_rescale *rescale = p->rescale;
    for (uint16_t n = 0; n < p->out_c; ++n) {
        const eng_rescale r = eng_flash_rescale(rescale);
        const int8_t code = eng_requant_double_s8(largest(b, p->zero_x, w, eng_flash_s32(bias + n)), &r, &p->y);
        y[n] = code > y[n] ? code : y[n];
        w += size;
        rescale += p->rescale_step;
    }
}

static void one_position(const eng_conv2d_max_pool2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                         const eng_span *rows, const eng_span *columns, int8_t *y)
{
    batch b;
    b.count = 0;
    for (uint16_t n = 0; n < p->conv.out_c; ++n) {
        y[n] = INT8_MIN;
    }
    for (uint16_t i = 0; i < rows->count; ++i) {
        const eng_span conv_rows = eng_span_rows(&p->conv.window, (uint16_t)(rows->pixel + i * p->pool.dilation_h));
        for (uint16_t j = 0; j < columns->count; ++j) {
            const uint16_t column = (uint16_t)(columns->pixel + j * p->pool.dilation_w);
            const eng_span conv_columns = eng_span_columns(&p->conv.window, column);
            b.patch[b.count++] = eng_conv2d_patch_at(&p->conv, x, &conv_rows, &conv_columns);
            if (b.count == ENG_POOL_PATCHES) {
                take_larger(&p->conv, &b, w, bias, y);
                b.count = 0;
            }
        }
    }
    if (b.count != 0) {
        take_larger(&p->conv, &b, w, bias, y);
    }
}

void eng_conv2d_max_pool2d_s8(const eng_conv2d_max_pool2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                              int8_t *y)
{
    for (uint16_t row = 0; row < p->pool.out_h; ++row) {
        const eng_span rows = eng_span_rows(&p->pool, row);
        for (uint16_t column = 0; column < p->pool.out_w; ++column) {
            const eng_span columns = eng_span_columns(&p->pool, column);
            one_position(p, x, w, bias, &rows, &columns, y);
            y += p->conv.out_c;
        }
    }
}
