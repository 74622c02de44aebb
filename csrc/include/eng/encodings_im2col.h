/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions of any kernel, stride, dilation and padding, of one or many channels, as products of unrolled patches (im2col),
 * two output positions at a time: the codes of eng_conv2d_s8 and eng_conv2d_max_pool2d_s8, bit for bit.
 * Encoder and proofs: python/enginekit/encode/im2col.py. Portable twins: csrc/src. AVR twins: csrc/avr, same symbols.
 *
 * Inputs and weights are unsigned here, u = x + 128 and v = w + 128, so that an accumulator of 24 bits takes a product with its
 * carry and without a sign:  sum w*x = sum v*u - 128 * sum u - 128 * sum w. The sum of u belongs to the patch and is found once
 * for all filters. Accumulators are modulo 2^24; that every finished sum fits 24 bits is all that there is to prove. */
#ifndef ENG_ENCODINGS_IM2COL_H
#define ENG_ENCODINGS_IM2COL_H

#include "eng/encodings_short.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Most taps of a patch: kernel_h * kernel_w * in_c. */
#define ENG_IM2COL_TAPS 510

/* Bytes of two patches: -128 * sum u of each, s24; then u, [taps][2]. */
#define ENG_IM2COL_SIZE(taps) (6 + 2 * (taps))

/* How a patch lies in the image. Taps of a row are copied in `runs` runs of `run` codes: one run of the row, or one of in_c
 * codes a column, where the row has gaps or more than 255 codes. A row that is not all inside is copied by columns in any case.
 */
typedef struct {
    uint16_t row;   /* codes of a row of x: in_w * in_c */
    uint16_t down;  /* from a row of taps to the next: dilation_h * row */
    uint16_t right; /* from a column of taps to the next: dilation_w * in_c */
    uint8_t in_h, in_c;
    uint8_t kernel_h, kernel_w;
    uint8_t dilation_h, dilation_w;
    uint8_t padding;     /* u of taps outside: zero_x + 128 */
    uint8_t run, runs;   /* kernel_w * in_c and 1, or in_c and kernel_w */
    uint8_t last;        /* in_w - kernel_w, or in_w - 1: last column at which a run is inside; the first is 0 */
    uint8_t last_column; /* in_w - 1 */
} eng_im2col;

/* Pixel at which a patch begins; it may lie outside. */
typedef struct {
    int16_t row, column;
} eng_im2col_place;

/* Writes the patches of two places. Returns 0 if all u are 0.
 *   x [in_h][in_w][in_c]    in_h * in_w * in_c < 2^15
 *   patches                 ENG_IM2COL_SIZE bytes
 * Cost (AVRxt): 158 a call; a patch 90, 32 a row of taps, 17 a run, 7.25 to 11 a tap. Stack (AVR): 24 bytes. */
uint8_t eng_im2col_u8(const eng_im2col *p, const int8_t *x, const eng_im2col_place places[2], uint8_t *patches);

/* Filters in blocks of R = 2 or 3.
 *   stream: for each block  start [R] s24, v [taps][R]; filters beyond the layer's last are anything. */
typedef struct {
    const uint8_t *stream;
    uint16_t taps; /* 1 ... ENG_IM2COL_TAPS */
    uint8_t blocks;
} eng_im2col_filters;

/* start - 128 * sum u + sum v*u  for all filters and two patches. start holds the bias, less 128 * sum w, less the start of
 * eng_requant_short. The sums of a filter are both written, sum [blocks * R][2] s24; or, if `largest` is not 0, the largest
 * of them and the one that is there, sum [blocks * R] s24.
 * "moving" skips taps whose two u are 0, and takes 4 cycles more for the others.
 * Bound, proven by the encoder: a finished sum is in (-2^23 + 2^15, 2^23).
 * Cost (AVRxt): a call 75 and 93, a block 108 and 150, with `largest` 140 and 200; a tap and block 31.5 and 44.5. Stack (AVR):
 * 18 and 24 bytes. */
void eng_im2col2_s24(const eng_im2col_filters *p, const uint8_t *patches, uint8_t *sum, uint8_t largest);
void eng_im2col3_s24(const eng_im2col_filters *p, const uint8_t *patches, uint8_t *sum, uint8_t largest);
void eng_im2col2_moving_s24(const eng_im2col_filters *p, const uint8_t *patches, uint8_t *sum, uint8_t largest);
void eng_im2col3_moving_s24(const eng_im2col_filters *p, const uint8_t *patches, uint8_t *sum, uint8_t largest);

/* One axis of a convolution with a max pool over it, or without one: pool, pool_stride 1, pool_pad 0. */
typedef struct {
    uint8_t stride, pad;
    uint8_t conv; /* positions of the convolution */
    uint8_t pool, pool_stride, pool_pad;
    uint8_t out; /* of the pool; it has a tap inside at each */
} eng_im2col_axis;

typedef struct {
    eng_im2col patch;
    eng_im2col_axis down, right;
    const int8_t *still; /* [out_c] codes where all u are 0; null if there are no such, or they are not worth asking */
    eng_im2col_filters filters[2]; /* in blocks of 3, and in blocks of 2 behind them; blocks may be 0 */
    const void *requant;           /* eng_requant_short or eng_requant_double; count = out_c */
    uint8_t out_c;
    uint8_t copies; /* of requant: 1 with a pool or for one position, else 2 */
} eng_conv2d_im2col;

/* Convolution, with the max pool over it if there is one.
 *   x [in_h][in_w][in_c], y [down.out][right.out][out_c]: must not overlap, but y may be x if the kernel is 1 x 1 of stride 1,
 *   without pool, out_c at most in_c, and positions are even: two are read before they are written.
 *   scratch: ENG_IM2COL_SIZE bytes, then 3 a filter of all blocks, or 6 without a pool.
 * "moving" skips inputs of zeros; "exact" requantizes by the exact rule. */
void eng_conv2d_im2col_s8(const eng_conv2d_im2col *p, const int8_t *x, int8_t *y, uint8_t *scratch);
void eng_conv2d_im2col_moving_s8(const eng_conv2d_im2col *p, const int8_t *x, int8_t *y, uint8_t *scratch);
void eng_conv2d_im2col_exact_s8(const eng_conv2d_im2col *p, const int8_t *x, int8_t *y, uint8_t *scratch);
void eng_conv2d_im2col_exact_moving_s8(const eng_conv2d_im2col *p, const int8_t *x, int8_t *y, uint8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
