/* SPDX-License-Identifier: Apache-2.0 */
/* Dense layers whose inputs are mostly what a blank image gives: only what moved from there is multiplied.
 * Encoder and proofs: python/enginekit/encode/moved.py. */
#ifndef ENG_ENCODINGS_MOVED_H
#define ENG_ENCODINGS_MOVED_H

#include "eng/encodings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Codes at rest: cells of `period` inputs, the same in each, as the channels of a map whose input is blank. */
typedef struct {
    const int8_t *rest; /* [period] */
    uint8_t period;     /* period * R <= 255 */
    uint8_t cells;      /* 1 ... 255; period * cells inputs */
    uint8_t capacity;   /* most runs; the table has 1 + 2*capacity bytes */
    uint8_t limit;      /* most cells in runs */
} eng_moved;

/* Finds the runs of cells that differ from rest: moved[0] = number of runs, then for each the cells skipped since the run
 * before and the cells in the run. Returns 1, or 0 if a limit is exceeded, so that skipping would not pay; then the table is
 * undefined. Cost (AVRxt), period <= 14: 4 cycles an input up to the first that differs in its cell, 22 more a cell that
 * does, 8 one that does not, 7 a run, 120 and 3 a code at rest a call; longer periods: 10, 18, 9, 3, 94. Stack (AVR): 20 bytes.
 */
uint8_t eng_moved_s8(const eng_moved *p, const int8_t *x, uint8_t *moved);

/* sum[n] = start[n] + sum_k w[n][k] * (x[k] - rest[k % period]) over the cells in runs: the sum over all inputs.
 * Layout of p as for eng_dense_rows<R>_s24, groups unused; start s24 is the sum at rest. Partial sums may be anything, the
 * finished one must fit 24 bits: proven by the encoder.
 * Cost (AVRxt): (9R + 11) cycles an input that differs, 4 more if it is less than rest, 15 if it does not differ; 4 a cell, 30
 * a run, 12R + 56 a block, 127 a call. Stack (AVR): 36 bytes. */
void eng_dense_moved3_s24(const eng_dense_rows *p, const eng_moved *at, const int8_t *x, const uint8_t *moved, uint8_t *sum);
void eng_dense_moved4_s24(const eng_dense_rows *p, const eng_moved *at, const int8_t *x, const uint8_t *moved, uint8_t *sum);
void eng_dense_moved5_s24(const eng_dense_rows *p, const eng_moved *at, const int8_t *x, const uint8_t *moved, uint8_t *sum);

#ifdef __cplusplus
}
#endif

#endif
