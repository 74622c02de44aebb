/* SPDX-License-Identifier: Apache-2.0 */
/* Dense layers most of whose weights are zero: only the others are stored.
 * Encoders and proofs: python/enginekit/encode/sparse.py, python/enginekit/encode/bitmap.py. */
#ifndef ENG_ENCODINGS_SPARSE_H
#define ENG_ENCODINGS_SPARSE_H

#include "eng/encodings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Weights in blocks of R rows, of which only the inputs are stored that some row of the block has a weight for.
 *   w      for each block segments, then 0. A segment is a number of entries, 1 to 255, and the entries: inputs passed since
 *          the entry before (the block's first: since the first input), 0 to 255, and R weights in [-128, 127]
 *   start  [blocks][R] s24, split: sums of inputs that are all base; lo, mid, top as for eng_dense_rows8_s24
 *   base   x[k] - base in [0, 255] for every input
 * Rows beyond the layer's last hold weights of zero. Where two entries are further apart than 255 inputs, one with weights of
 * zero lies between. */
typedef struct {
    const uint8_t *w;
    const uint8_t *start;
    uint8_t blocks;
    int8_t base;
} eng_dense_sparse;

/* sum[n] = start[n] + sum_k w[n][k] * (x[k] - base) over the inputs stored.
 *   x    [in]            codes
 *   sum  [blocks*R] s24  must not overlap x
 * The finished sum must fit 24 bits: proven by the encoder; partial sums may be anything, as accumulators of 16 bits that
 * overflow are put right when it happens. Inputs that are base are passed by (R > 1).
 * Cost (AVRxt): 8R + 12 cycles an entry, 14 if its input is base, 19 where R is 1; 10 an overflow. Stack (AVR): 37 bytes. */
void eng_dense_sparse1_s24(const eng_dense_sparse *p, const int8_t *x, uint8_t *sum);
void eng_dense_sparse4_s24(const eng_dense_sparse *p, const int8_t *x, uint8_t *sum);
void eng_dense_sparse8_s24(const eng_dense_sparse *p, const int8_t *x, uint8_t *sum);

/* Weights of all rows input by input, with a bit a weight that says whether it is stored.
 *   w        a record for each input that has weights: inputs passed since the record before (the first: since the first
 *            input), 0 to 255; bytes that follow; for every 8 rows a byte of bits, the first row's the lowest, and the weights
 *            of those whose bit is set
 *   start    [8*bytes] s24, split: sums of inputs that are all base
 *   records                     of inputs
 *   bytes    1 ... 28           of bits: 8 rows each
 *   base                        x[k] - base in [0, 255] for every input
 * Where two records are further apart than 255 inputs, one without weights lies between. */
typedef struct {
    const uint8_t *w;
    const uint8_t *start;
    uint16_t records;
    uint8_t bytes;
    int8_t base;
} eng_dense_bitmap;

/* sum[n] = start[n] + sum_k w[n][k] * (x[k] - base) over the inputs stored; those that are base are passed by.
 *   x    [in]             codes
 *   sum  [8*bytes] s24    must not overlap x
 * The finished sum must fit 24 bits: proven by the encoder; partial sums may be anything.
 * Cost (AVRxt): 16 cycles a weight and 3 a zero of an input that is not base, 19 and 11 a byte of bits more; 18 an input that
 * is base; 28 a row; 10 an overflow. Stack (AVR): 8 bytes. */
void eng_dense_bitmap_s24(const eng_dense_bitmap *p, const int8_t *x, uint8_t *sum);

#ifdef __cplusplus
}
#endif

#endif
