/* SPDX-License-Identifier: Apache-2.0 */
/* The body of the kernels eng_depthwise_planes...: which rows of which channel are computed when. Included by each of them
 * after it has defined SUMS, REQUANT and RECORD, the kernels that it calls and the record of a channel. */
#include "eng/encodings_depthwise.h"

/* Some rows of outputs, all channels; `row` is the first one's first row of x. */
static void band(const eng_depthwise_planes *p, const int8_t *x, int16_t row, uint8_t rows, int8_t *y, uint8_t *scratch)
{
    const uint8_t plane_rows = (uint8_t)((uint8_t)(rows - 1U) * p->stride + p->reach);
    const uint16_t count = (uint16_t)((uint16_t)rows * p->taps.out_w);
    int8_t *plane = (int8_t *)scratch;
    uint8_t *sums = scratch + p->sums;
    const uint8_t *filter = p->filter;
    const RECORD *record = p->record;
    for (uint8_t c = p->in_c; c != 0; --c) {
        eng_plane_s8(&p->plane, x, row, plane_rows, plane);
        for (uint8_t n = p->multiplier; n != 0; --n) {
            SUMS(&p->taps, filter, plane, sums, rows);
            REQUANT(p->requant, record, sums, y, count);
            filter += p->filter_size;
            ++record;
            ++y;
        }
        ++x;
    }
}

static void convolve(const eng_depthwise_planes *p, const int8_t *x, int8_t *y, uint8_t *scratch)
{
    const uint16_t step =
        (uint16_t)((uint16_t)((uint16_t)p->band * p->taps.out_w) * (uint16_t)((uint16_t)p->in_c * p->multiplier));
    int16_t row = (int16_t)-p->pad;
    uint8_t left = p->out_h;
    while (left != 0) {
        const uint8_t rows = left < p->band ? left : p->band;
        band(p, x, row, rows, y, scratch);
        row = (int16_t)(row + (int16_t)((uint16_t)rows * p->stride));
        y += step;
        left = (uint8_t)(left - rows);
    }
}
