/* SPDX-License-Identifier: Apache-2.0 */
/* Dense layers whose weights take 4 or 2 bits: several weights a byte, in blocks of R rows.
 * Encoder and proofs: python/enginekit/encode/bits.py. */
#ifndef ENG_ENCODINGS_BITS_H
#define ENG_ENCODINGS_BITS_H

#include "eng/encodings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is added to a weight of B bits, so that its field of a byte is not negative. */
#define ENG_BITS_ZERO(bits) (1 << ((bits) - 1))

/* Inputs whose products with fields up to 15 fit 16 bits beside what is left of those before: 255 + 17 * 15 * 255 < 2^16. */
#define ENG_BITS_DEPTH 17

/* Weights of B bits in blocks of R rows.
 *   w      [blocks][in][R*B/8]  bytes of 8/B fields, each weight + ENG_BITS_ZERO(B); of the rows of a byte the first in the
 *                               lowest bits. Rows beyond the layer's last hold weights of zero
 *   start  [blocks][R] s24      sums of inputs that are all base
 *   base                        x[k] - base in [0, 255] for every input
 * Bounds that the encoder proves for every row whose field has b bits below it: the finished sum fits 24 bits, and without its
 * start 24 - b, so that a difference of two sums modulo 2^24 has all of it. */
typedef struct {
    const uint8_t *w;
    const uint8_t *start;
    uint16_t in;
    uint8_t blocks;
    int8_t base;
} eng_dense_bits;

/* sum[n] = start[n] + sum_k w[n][k] * (x[k] - base) over the inputs in runs.
 *   x     [in]            codes
 *   runs                  the inputs that differ from base, as eng_runs_s8 writes them, or all inputs
 *   sum   [blocks*R] s24  must not overlap x
 * What the rows of a byte share is one fetch: with fields l and h, the sums of (16h + l) * x and of l * x give both rows.
 * Cost (AVRxt): 6.5 (4 bits) or 6 (2 bits) cycles a product, 11 more an input and block, 33 a run and block. Stack (AVR): 47
 * bytes. */
void eng_dense_bits4_rows4_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum);
void eng_dense_bits4_rows8_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum);
void eng_dense_bits2_rows4_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum);
void eng_dense_bits2_rows8_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum);

#ifdef __cplusplus
}
#endif

#endif
