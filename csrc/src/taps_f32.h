/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a pooling window that lies inside the image. */
#ifndef ENG_TAPS_F32_H
#define ENG_TAPS_F32_H

#include "eng/types.h"

/* Pixels in one direction: first, first + step, ... while below end; at least one. */
typedef struct {
    uint32_t first, end, step;
} eng_taps;

/* Pixel that a tap reads, less than 0 or at least the image's size if outside: fits, since (kernel - 1) * dilation < 2^16
 * and position * stride < 2^17. */
static inline int32_t eng_tap_source(uint16_t position, uint16_t stride, uint16_t tap, uint16_t dilation, uint16_t pad)
{
    return (int32_t)((uint32_t)position * stride + (uint32_t)tap * dilation) - (int32_t)pad;
}

/* start: pixel of the first tap, below 0 in the padding. span: last tap minus first, < 65536. */
static inline eng_taps eng_taps_inside(int32_t start, int32_t span, int32_t size, uint16_t step)
{
    const int32_t end = start + span + 1;
    while (start < 0) {
        start += step;
    }
    const eng_taps taps = {.first = (uint32_t)start, .end = (uint32_t)(end < size ? end : size), .step = step};
    return taps;
}

static inline eng_taps eng_taps_rows(const eng_window *w, uint16_t r)
{
    const int32_t start = (int32_t)((uint32_t)r * w->stride_h) - (int32_t)w->pad_top;
    return eng_taps_inside(start, (int32_t)((uint32_t)(w->kernel_h - 1u) * w->dilation_h), w->in_h, w->dilation_h);
}

static inline eng_taps eng_taps_columns(const eng_window *w, uint16_t q)
{
    const int32_t start = (int32_t)((uint32_t)q * w->stride_w) - (int32_t)w->pad_left;
    return eng_taps_inside(start, (int32_t)((uint32_t)(w->kernel_w - 1u) * w->dilation_w), w->in_w, w->dilation_w);
}

static inline uint32_t eng_taps_count(const eng_taps *t)
{
    return (t->end - t->first + t->step - 1) / t->step;
}

#endif
