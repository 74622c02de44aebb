/* SPDX-License-Identifier: Apache-2.0 */
/* The body of the pools: which positions have the same taps inside the image. Included by each of them after it has defined
 * RUN, what computes neighbours: void RUN(eng_pool_run *, int8_t *y). */
#include "eng/infer_s8.h"

/* The position from which on all taps of an axis are inside, and for how many: 0 if there are none. */
typedef struct {
    uint16_t first, count;
} inner;

static inner inner_columns(const eng_window *v)
{
    int32_t pixel = -(int32_t)v->pad_left, last = pixel + (int32_t)((uint32_t)(v->kernel_w - UINT16_C(1)) * v->dilation_w);
    inner found = {0, 0};
    for (; pixel < 0; pixel += v->stride_w) {
        ++found.first;
        last += v->stride_w;
    }
    for (uint16_t column = found.first; column < v->out_w && last < v->in_w; ++column) {
        ++found.count;
        last += v->stride_w;
    }
    return found;
}

static void pool2d(const eng_pool2d_s8_params *p, const int8_t *x, int8_t *y)
{
    const eng_window *v = &p->window;
    const size_t row = (size_t)v->in_w * p->channels;
    const inner all = inner_columns(v);
    eng_pool_run run = {x,
                        row * v->dilation_h,
                        (size_t)v->dilation_w * p->channels,
                        (size_t)v->stride_w * p->channels,
                        0,
                        0,
                        0,
                        0,
                        p->lo,
                        p->hi,
                        0,
                        0,
                        0,
                        0};
    run.channels = p->channels;
    for (uint16_t r = 0; r < v->out_h; ++r) {
        const eng_span rows = eng_span_rows(v, r);
        run.rows = rows.count;
        for (uint16_t q = 0; q < v->out_w; q = (uint16_t)(q + run.positions)) {
            const eng_span columns = eng_span_columns(v, q);
            run.columns = columns.count;
            run.positions = q == all.first && all.count != 0 ? all.count : 1;
            run.x = x + rows.pixel * row + (size_t)columns.pixel * p->channels;
            RUN(&run, y);
            y += (size_t)run.positions * p->channels;
        }
    }
}
