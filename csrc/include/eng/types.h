/* SPDX-License-Identifier: Apache-2.0 */
/* What all parts of the core share: status codes and the geometry of a sliding window. */
#ifndef ENG_TYPES_H
#define ENG_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ENG_WARN_UNUSED __attribute__((warn_unused_result))
#else
#define ENG_WARN_UNUSED
#endif

/* What a check found. One line of text each: eng_status_text. */
typedef enum {
    ENG_OK = 0,
    ENG_ERR_NULL,     /* a required pointer is null */
    ENG_ERR_OP,       /* an operator code that this core does not have */
    ENG_ERR_SHAPE,    /* a size is zero, too large, or does not fit its neighbours */
    ENG_ERR_RANGE,    /* a value is outside its documented range */
    ENG_ERR_OVERFLOW, /* an accumulator could leave int32 with these weights */
    ENG_ERR_ALIGN,    /* an int32 or float buffer is not aligned */
    ENG_ERR_ARENA,    /* a buffer ends outside the arena */
    ENG_ERR_OVERLAP,  /* an output overlaps an input that it must not */
    ENG_ERR_SELFTEST, /* a golden pair came out differently */
    ENG_STATUS_COUNT
} eng_status;

/* One line of meaning, without a full stop; "unknown status" for anything else. */
const char *eng_status_text(eng_status status);

/* A window of kernel_h x kernel_w taps sliding over an image of in_h x in_w pixels, giving out_h x out_w positions.
 * Tap (i, j) of position (r, q) reads pixel (r*stride_h + i*dilation_h - pad_top, q*stride_w + j*dilation_w - pad_left);
 * taps outside the image are padding. All sizes, strides and dilations in [1, 65535]; pads in [0, 65535];
 * (kernel - 1) * dilation <= 65535; every position must have at least one tap inside the image. */
typedef struct {
    uint16_t in_h, in_w;
    uint16_t out_h, out_w;
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t dilation_h, dilation_w;
    uint16_t pad_top, pad_left;
} eng_window;

#ifdef __cplusplus
}
#endif

#endif
