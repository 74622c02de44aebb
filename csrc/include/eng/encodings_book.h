/* SPDX-License-Identifier: Apache-2.0 */
/* Dense layers whose weights take few values: indices of 4 or 2 bits into a book of values.
 * Encoder and proofs: python/enginekit/encode/book.py. */
#ifndef ENG_ENCODINGS_BOOK_H
#define ENG_ENCODINGS_BOOK_H

#include "eng/encodings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of a block. */
#define ENG_BOOK_ROWS 8

/* Weights in blocks of 8 rows as indices of B bits.
 *   w      [blocks][in][B]    bytes of 8/B indices; of the rows of a byte the first in the lowest bits
 *   book   [blocks][2^B]      values, in [-128, 127]
 *   start  [blocks][8] s24    split: sums of inputs that are all base; lo, mid, top as for eng_dense_rows8_s24
 *   base                      x[k] - base in [0, 255] for every input
 * Rows beyond the layer's last hold any indices: nobody reads their sums. */
typedef struct {
    const uint8_t *w;
    const int8_t *book;
    const uint8_t *start;
    uint16_t in;
    uint8_t blocks;
    int8_t base;
} eng_dense_book;

/* sum[n] = start[n] + sum_k book[w[n][k]] * (x[k] - base) over the inputs in runs.
 *   x     [in]            codes
 *   runs                  the inputs that differ from base, as eng_runs_s8 writes them, or all inputs
 *   sum   [blocks*8] s24  must not overlap x
 * The finished sum must fit 24 bits: proven by the encoder; partial sums may be anything, as accumulators of 16 bits that
 * overflow are put right when it happens.
 * Cost (AVRxt): 12 cycles a product, 7 more an input and block, 36 a run and block, 12 an overflow. Stack (AVR): 77 bytes (4
 * bits), 53 (2 bits). */
void eng_dense_book4_s24(const eng_dense_book *p, const int8_t *x, const uint8_t *runs, uint8_t *sum);
void eng_dense_book2_s24(const eng_dense_book *p, const int8_t *x, const uint8_t *runs, uint8_t *sum);

#ifdef __cplusplus
}
#endif

#endif
