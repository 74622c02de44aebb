/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolutions of any kernel, stride, dilation, padding and multiplier, channel by channel: the codes of
 * eng_depthwise_conv2d_s8, bit for bit. A channel of some rows of the image is copied, with its padding, into a plane of its
 * own, in which the taps of neighbouring positions are neighbours; each weight is loaded once for 4 or 7 of them. Encoder and
 * proofs: python/enginekit/encode/depthwise.py. Portable twins: csrc/src. AVR twins: csrc/avr, same symbols. */
#ifndef ENG_ENCODINGS_DEPTHWISE_H
#define ENG_ENCODINGS_DEPTHWISE_H

#include "eng/encodings_short.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Columns of the image that are one stride apart, in a row of a plane: padding, codes, padding. */
typedef struct {
    uint16_t first;              /* offset in x's row of the first code */
    uint8_t left, inside, right; /* inside > 0 */
} eng_plane_run;

typedef struct {
    const eng_plane_run *run; /* [runs] */
    uint16_t row;             /* codes of a row of x: in_w * in_c */
    uint16_t step;            /* from a code to the next: stride_w * in_c */
    uint8_t runs;             /* 1 ... stride_w */
    uint8_t pitch;            /* of a row of the plane: all that the runs write */
    uint8_t in_h;
    int8_t padding; /* zero_x */
} eng_plane;

/* Copies one channel of rows `row` ... `row + rows - 1` of x; rows outside are filled.
 *   x      the channel's first code, in_h * row < 2^15
 *   plane  [rows][pitch]
 * 1 <= rows <= 255. Cost (AVRxt): 103 a call; 30 a row and 33 a run inside, 6.5 a code of it, 4 a code of padding. Stack (AVR):
 * 10 bytes. */
void eng_plane_s8(const eng_plane *p, const int8_t *x, int16_t row, uint8_t rows, int8_t *plane);

/* Runs and distances are read as the records are that point to them, by no function of eng/flash.h. */
typedef struct {
    const uint8_t *distance; /* [taps] from each tap to the next in the plane, 1 ... 255; 0 behind the last */
    uint16_t row_step;       /* from a row of outputs to the next in the plane */
    uint8_t out_w;
} eng_depthwise;

/* Sums of one filter, start + sum w*x, at each position of some rows of outputs.
 *   filter  start s24, then w [taps], in the order in which taps lie in the plane. start holds the bias, less zero_x * sum w,
 *           less the start of eng_short_step.
 *   sum     [rows][out_w] s24, and room for those that fill the last 4 or 7 of a row, which may be anything. As many codes
 *           behind the last that is used are read.
 * Bound, proven by the encoder: a sum is in [-2^23, 2^23). 1 <= rows <= 255.
 * Cost (AVRxt): 110 a call, 40 a row; for each 4 or 7 positions 65 or 85 and a tap 44 or 68. Stack (AVR): 34 bytes. */
void eng_depthwise4_s24(const eng_depthwise *p, const uint8_t *filter, const int8_t *plane, uint8_t *sum, uint8_t rows);
void eng_depthwise7_s24(const eng_depthwise *p, const uint8_t *filter, const int8_t *plane, uint8_t *sum, uint8_t rows);

typedef struct {
    eng_plane plane;
    eng_depthwise taps;
    const uint8_t *filter; /* [out_c][3 + taps] */
    const void *record;    /* [out_c] eng_short_step or eng_rescale */
    const void *requant;   /* eng_requant_short_channel or eng_requant_double_channel */
    uint16_t sums;         /* where they begin in scratch: the bytes of a plane */
    uint8_t filter_size;   /* 3 + taps: 4 ... 255 */
    uint8_t in_c, multiplier;
    uint8_t out_h;
    uint8_t band; /* rows of outputs that are computed from one plane, 1 ... out_h */
    uint8_t stride, pad;
    uint8_t reach; /* rows of x of one row of outputs, first to last: (kernel_h - 1) * dilation_h + 1 */
} eng_depthwise_planes;

/* Depthwise convolution.
 *   x [in_h][in_w][in_c], y [out_h][out_w][in_c * multiplier]: must not overlap, but y may be x if band is out_h, multiplier is
 *   1 and a channel of y has no more codes than one of x.
 *   scratch: plane and sums of a band.
 * "exact" requantizes by the exact rule. */
void eng_depthwise_planes4_s8(const eng_depthwise_planes *p, const int8_t *x, int8_t *y, uint8_t *scratch);
void eng_depthwise_planes7_s8(const eng_depthwise_planes *p, const int8_t *x, int8_t *y, uint8_t *scratch);
void eng_depthwise_planes4_exact_s8(const eng_depthwise_planes *p, const int8_t *x, int8_t *y, uint8_t *scratch);
void eng_depthwise_planes7_exact_s8(const eng_depthwise_planes *p, const int8_t *x, int8_t *y, uint8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
