/* SPDX-License-Identifier: Apache-2.0 */
/* Dense layers, beside those in eng/encodings.h: the smallest kernel, and the fastest, which the emitter writes out as code for
 * one layer. Encoders and proofs: python/enginekit/encode/dense_pairs.py and dense_calls.py. */
#ifndef ENG_ENCODINGS_DENSE_H
#define ENG_ENCODINGS_DENSE_H

#include "eng/encodings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Dense weights in pairs of rows: for each pair
 *   start  [2] s24          bias, with the zero point folded in
 *   w      [in][2]          codes; a row beyond the layer's last is zero
 * one after the other, all as bytes. */
typedef struct {
    const uint8_t *pair;
    uint16_t in; /* at least 1 */
    uint8_t pairs;
} eng_dense_pairs;

/* sum[n] = start[n] + sum_k w[n][k] * x[k].
 *   x    [in]             codes, as they are
 *   sum  [pairs*2] s24    must not overlap x
 * The finished sum fits 24 bits, which the encoder proves; partial sums may be anything.
 * Cost (AVRxt), whatever the inputs: 24 cycles an input and pair, 27 a pair, 50 a call. Stack (AVR): 10 bytes. */
void eng_dense_pairs_s24(const eng_dense_pairs *p, const int8_t *x, uint8_t *sum);

#define ENG_CALLS_ROWS 5

/* Lengths above this stand for so many more inputs without weights, which are left out. */
#define ENG_CALLS_OVER 128

/* Inputs from a stop at which a run begins to the next run, from which on skipping is not given up at that stop: so many, or
 * cost + price if that is less. */
#define ENG_CALLS_EVIDENCE 63

/* Dense weights in blocks of R rows, 1 <= R <= ENG_CALLS_ROWS, and what the code of one layer is written from.
 *   w        [blocks][in][R]   codes; rows beyond the layer's last are zero
 *   lengths                    of the groups of block 0 from `first` on, all stops between groups, then 0; of each other block
 *                              from input 0 on, then 0
 *   bias     [blocks][R] s24   of sums of x - zero_x; unused without stops
 *   dense    [...][R] s24      of sums by groups, less 32768 a group: for block 0 as many as there are stops but the last, for
 * one stop left first; then one for each other block Without stops every block is summed by groups, from input 0 on.
 *
 * With stops, the inputs of block 0 that differ from zero_x are multiplied one by one, and at each stop that is not inside a
 * gap between them it is asked whether that pays: a balance starts at -first_cost, gains an input skipped, loses `price` a gap
 * and `cost` a stop. Where it is negative, block 0 goes on by groups from there and every other block is summed by groups. Else
 * those skip the gaps that block 0 has found; they are summed by groups if there are more than `capacity`.
 *
 * Bounds that the encoder proves: products of a group fit the 16 bits of eng_dense_rows; a sum without its bias, and a finished
 * one, fit 24 bits. Partial sums of what is multiplied one by one may be anything. */
typedef struct {
    const int8_t *w;
    const uint8_t *lengths;
    const uint8_t *bias;
    const uint8_t *dense;
    uint16_t in;
    uint8_t rows, blocks;
    int8_t zero_x;
    uint8_t stops;        /* the end of the inputs included; 0: none */
    uint16_t first, step; /* inputs before the first stop, and between two: first + (stops - 1) * step = in */
    uint16_t first_cost, cost;
    uint8_t price;
    uint8_t capacity; /* at most 127 */
} eng_dense_calls;

/* sum[n] = the layer's sum n, bias included.
 *   x    [in]              codes
 *   sum  [blocks*R] s24    must not overlap x
 * This is the portable twin of what the emitter writes for AVR from the same numbers
 * (python/enginekit/encode/dense_assembly.py). With stops that code changes two bytes behind x and, with several blocks,
 * `capacity` + 2 + in / 255 behind sum. Cost (AVRxt): 7 cycles a product, 2 an input and block, 2.5R + 6 a group; where zeros
 * are skipped 8 a product, 5 an input and block, 4.25 a zero once. Stack (AVR): 31 bytes. */
void eng_dense_calls_s24(const eng_dense_calls *p, const int8_t *x, uint8_t *sum);

#ifdef __cplusplus
}
#endif

#endif
