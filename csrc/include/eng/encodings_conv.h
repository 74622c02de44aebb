/* SPDX-License-Identifier: Apache-2.0 */
/* Encoded convolutions, beside those in eng/encodings.h: the same codes as the plain kernels of eng/infer_s8.h, bit for bit.
 * Encoders and proofs: python/enginekit/encode. */
#ifndef ENG_ENCODINGS_CONV_H
#define ENG_ENCODINGS_CONV_H

#include "eng/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One filter whose sums span 16 bits:  u = 256*raise + sum_k w[k] * (x[k] + 128), 0 <= u < 2^16 for every input;
 * code = -128 if u < start, else min(((u - start) * mult + offset) / 2^shift, 255) - 128, rounded down. Little endian. */
typedef struct {
    int8_t w[9];
    uint8_t raise;
    uint8_t start[2];
    uint8_t mult;
    uint8_t offset;
} eng_filter3x3_code;

typedef struct {
    const eng_filter3x3_code *filter; /* [out_c] */
    const int8_t *still;              /* [out_c] codes of a window whose inputs are all zero_x */
    uint8_t in_w;                     /* 4 ... 255 */
    uint8_t out_h, out_w, out_c;      /* of the pooled map: out_h <= (in_h - 2) / 2, out_w <= (in_w - 2) / 2 */
    int8_t zero_x;
    uint8_t shift; /* 14, 15 or 16 */
} eng_conv3x3_code;

/* 3 x 3 convolution of one channel (stride 1, no padding) and 2 x 2 max pool (stride 2) in one, as eng_conv2d_max_pool2d_s8.
 *   x [in_h][in_w]            codes, any
 *   y [out_h][out_w][out_c]   must not overlap x
 * This is the portable twin of what the emitter writes for AVR from the same records: weights as instructions, the 16 inputs
 * of a window in registers (python/enginekit/encode/conv_code.py, templates/conv3x3_code.S.in). That code needs 193 cycles a
 * filter of nine weights and pooled output and 90 a window; a window of zero_x only 90 and 2 a filter. Stack: 27 bytes.
 * Bounds that the encoder proves for every filter: 0 <= u < 2^16, and equality of all codes with the exact rule's. */
void eng_conv3x3_pool2_code_s8(const eng_conv3x3_code *p, const int8_t *x, int8_t *y);

#ifdef __cplusplus
}
#endif

#endif
