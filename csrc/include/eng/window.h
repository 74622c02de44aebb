/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a sliding window that lies inside the image, one axis at a time. */
#ifndef ENG_WINDOW_H
#define ENG_WINDOW_H

#include "eng/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Taps first ... first+count-1 are inside; tap `first` reads pixel `pixel`. */
typedef struct {
    uint16_t first;
    uint16_t count;
    uint16_t pixel;
} eng_span;

/* Taps j of output position `position` with 0 <= position*stride + j*dilation - pad < in.
 * At least one tap is inside (eng_window), so that position*stride < 2^17. Time: the taps outside. */
static inline eng_span eng_span_of(uint16_t position, uint16_t stride, uint16_t dilation, uint16_t pad, uint16_t kernel,
                                   uint16_t in)
{
    int32_t pixel = (int32_t)((uint32_t)position * stride) - pad;
    int32_t last = pixel + (int32_t)((uint32_t)(kernel - UINT16_C(1)) * dilation);
    eng_span span = {0, kernel, 0};
    for (; pixel < 0; pixel += dilation) {
        ++span.first;
        --span.count;
    }
    for (; last >= in; last -= dilation) {
        --span.count;
    }
    span.pixel = (uint16_t)pixel;
    return span;
}

static inline eng_span eng_span_rows(const eng_window *w, uint16_t row)
{
    return eng_span_of(row, w->stride_h, w->dilation_h, w->pad_top, w->kernel_h, w->in_h);
}

static inline eng_span eng_span_columns(const eng_window *w, uint16_t column)
{
    return eng_span_of(column, w->stride_w, w->dilation_w, w->pad_left, w->kernel_w, w->in_w);
}

#ifdef __cplusplus
}
#endif

#endif
