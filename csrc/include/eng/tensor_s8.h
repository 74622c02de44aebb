/* SPDX-License-Identifier: Apache-2.0 */
/* int8 kernels without weights that join, move or map tensors: add, sub, mul, mean, copy, pad, look-up, and uint8 edges.
 * The rules of eng/infer_s8.h hold. */
#ifndef ENG_TENSOR_S8_H
#define ENG_TENSOR_S8_H

#include "eng/quant.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How an operand of `size` elements meets a result of `count`: element i of the result reads i / repeat % size.
 * size = count, repeat = 1: the same shape.  size = 1, repeat = 1: a scalar.  size = channels, repeat = 1: one a channel.
 * size = pixels, repeat = channels: one a pixel.  size * repeat divides count. */
typedef struct {
    uint32_t size;
    uint32_t repeat;
} eng_broadcast;

/* Left shift of operands before they are rescaled. */
#define ENG_ADD_SHIFT 20

/* scale = 2 * max(scale_x, scale_x2):  rescale_x = scale_x / scale, rescale_x2 = scale_x2 / scale (both <= 1/2: left = 0),
 * rescale_y = scale / (2^20 * scale_y), left = 0 as well. */
typedef struct {
    uint32_t count;
    eng_broadcast x, x2;
    int8_t zero_x, zero_x2;
    eng_rescale rescale_x, rescale_x2, rescale_y;
    eng_output_s8 y;
} eng_add_s8_params;

/* y[i] = requant_double(a + b, rescale_y),  a = rescale_double((x[..] - zero_x) * 2^20, rescale_x), b likewise of x2.
 * |x - zero_x| * 2^20 < 2^28, and rescale_x, rescale_x2 <= 1/2, so that |a + b| < 2^28.
 * y may be x or x2 if that has the result's size; must not overlap them otherwise.
 * Cost: three rescalings an element. */
void eng_add_s8(const eng_add_s8_params *p, const int8_t *x, const int8_t *x2, int8_t *y);

/* y[i] = requant_double(a - b', rescale_y), where -b' = rescale_double(-(x2[..] - zero_x2) * 2^20, rescale_x2): the negated
 * number is rounded, as in the reference. All else as eng_add_s8. */
void eng_sub_s8(const eng_add_s8_params *p, const int8_t *x, const int8_t *x2, int8_t *y);

typedef struct {
    uint32_t count;
    eng_broadcast x, x2;
    int8_t zero_x, zero_x2;
    eng_rescale rescale; /* scale_x * scale_x2 / scale_y */
    eng_output_s8 y;
} eng_mul_s8_params;

/* y[i] = requant_double((x[..] - zero_x) * (x2[..] - zero_x2)); the product is below 2^16.
 * y may be x or x2 if that has the result's size; must not overlap them otherwise. */
void eng_mul_s8(const eng_mul_s8_params *p, const int8_t *x, const int8_t *x2, int8_t *y);

typedef struct {
    uint32_t pixels; /* < 2^23 */
    uint16_t channels;
    int8_t zero_x;
    eng_rescale rescale; /* scale_x / scale_y / pixels, with mult in [2^29, 2^31) or 0 */
    eng_output_s8 y;
} eng_mean_s8_params;

/* Mean over the pixels:  y[c] = clamp(zero_y + rescale_double(sum_i (x[i][c] - zero_x)), lo, hi)
 *   x [pixels][channels], y [channels]; must not overlap.
 * |sum| <= 255 * pixels < 2^31. */
void eng_mean_s8(const eng_mean_s8_params *p, const int8_t *x, int8_t *y);

/* x[0] + x[step] + ... + x[(n - 1) * step], 1 <= n < 2^23; on AVR n < 2^16. Cost (AVRxt): 10 a code. */
int32_t eng_sum_s8(const int8_t *x, uint32_t n, size_t step);

/* first + size <= stride. */
typedef struct {
    uint32_t rows;
    uint32_t size;   /* of a row of x */
    uint32_t stride; /* of a row of y */
    uint32_t first;  /* where in a row of y */
} eng_copy_s8_params;

/* Writes x as columns first ... first+size-1 of y; the other columns keep what they hold. One call for each input of a
 * concatenation, whose scales and zero points are the result's.
 *   x [rows][size], y [rows][stride]; must not overlap. */
void eng_copy_s8(const eng_copy_s8_params *p, const int8_t *x, int8_t *y);

typedef struct {
    uint16_t in_h, in_w, channels;
    uint16_t top, bottom, left, right, front, back; /* added before and behind rows, columns and channels */
    int8_t value;
} eng_pad_s8_params;

/* y = x with a margin of `value`.
 *   x [in_h][in_w][channels], y [top+in_h+bottom][left+in_w+right][front+channels+back], each at most 65535; must not
 *   overlap. */
void eng_pad_s8(const eng_pad_s8_params *p, const int8_t *x, int8_t *y);

typedef struct {
    uint32_t count;
    const int8_t *codes; /* [256], may lie in flash: what -128, -127, ... 127 become; engine/tables.py makes it */
} eng_lookup_s8_params;

/* y[i] = codes[x[i] + 128]. May work in place (x == y). */
void eng_lookup_s8(const eng_lookup_s8_params *p, const int8_t *x, int8_t *y);

#ifdef __cplusplus
}
#endif

#endif
