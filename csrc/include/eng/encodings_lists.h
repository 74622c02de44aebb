/* SPDX-License-Identifier: Apache-2.0 */
/* Dense layers whose rows have few values beside zero, as ternary ones: of each value the inputs that it weighs are listed.
 * Encoder and proofs: python/enginekit/encode/lists.py. */
#ifndef ENG_ENCODINGS_LISTS_H
#define ENG_ENCODINGS_LISTS_H

#include "eng/encodings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Weights row by row.
 *   w     for each row the sum of inputs that are all base, s24, then lists, then 0
 *   base  x[k] - base in [0, 255] for every input listed
 * A list is 1 + n, a weight in [-128, 127] and n entries, 0 to 127. It goes on with 128 + n, inputs passed by in units of 256,
 * and n entries more, 1 to 127. An entry is the number of inputs passed since the one before (the list's first: since the
 * first input), 0 to 255. */
typedef struct {
    const uint8_t *w;
    uint8_t rows;
    int8_t base;
} eng_dense_lists;

/* sum[n] = start[n] + sum_k w[n][k] * (x[k] - base) over the inputs listed.
 *   x    [in]        codes
 *   sum  [rows] s24  must not overlap x
 * Inputs of 127 entries add up to at most 127 * 255 < 2^15 before they are multiplied. The finished sum must fit 24 bits:
 * proven by the encoder; partial sums may be anything. Cost (AVRxt): 10.75 cycles an entry, 32 a list, 36 where one goes on, 21
 * a row, whatever the inputs. Stack (AVR): 7 bytes. */
void eng_dense_lists_s24(const eng_dense_lists *p, const int8_t *x, uint8_t *sum);

#ifdef __cplusplus
}
#endif

#endif
