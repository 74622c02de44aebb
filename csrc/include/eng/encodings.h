/* SPDX-License-Identifier: Apache-2.0 */
/* Encoded weights: how a layer's weights lie in flash when a kernel of 16-bit accumulators reads them. An encoding never
 * changes a result: each kernel here gives the sums or codes of its plain counterpart in eng/infer_s8.h, bit for bit.
 * Encoder and proofs: python/enginekit/encode. Portable twins: csrc/src. AVR twins: csrc/avr, same symbols.
 *
 * Sums are written as "s24": three bytes each, little endian, two's complement; |sum| < 2^23 is proven by the encoder. */
#ifndef ENG_ENCODINGS_H
#define ENG_ENCODINGS_H

#include "eng/quant.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Steps of the unrolled body of eng_dense_rows<R>_s24: the longest group. */
#define ENG_ROWS_DEPTH 12

/* Header byte of a group of k inputs, 1 <= k <= ENG_ROWS_DEPTH, in a block of R rows. Header 0 ends the block. It is the word
 * offset at which the AVR twin enters its unrolled body, where a step is 4R+1 words. */
#define ENG_ROWS_HEADER(rows, k) (1 + (ENG_ROWS_DEPTH - (k)) * (4 * (rows) + 1))

/* The same of eng_dense_rows8_s24. */
#define ENG_ROWS8_DEPTH     7
#define ENG_ROWS8_HEADER(k) (1 + (ENG_ROWS8_DEPTH - (k)) * 33)

/* Dense weights in blocks of R rows.
 *   w       [blocks][in][R]  codes; rows beyond the layer's last are zero
 *   groups  [blocks][...]    header bytes, lengths summing to in, then 0; the same for every row of the block
 *   start   [blocks][R] s24  where each sum starts: what is added to sum_k w[k] * x[k], see the kernels
 * Bounds that the encoder proves for x in its range [lo, hi], for every row and group with products p in [min, max]:
 *   sum of max <= 32512 and sum of min >= -32768, so that a 16-bit accumulator biased by 0x8000 with up to 255 left over from
 *   the groups before cannot wrap; and the finished sum fits 24 bits. */
typedef struct {
    const int8_t *w;
    const uint8_t *groups;
    const uint8_t *start;
    uint8_t blocks;
    uint16_t in;
} eng_dense_rows;

/* sum[n] = start[n] + 32768 * (groups of n's block) + sum_k w[n][k] * x[k], for R rows at a time.
 *   x    [in]            codes, as they are
 *   sum  [blocks*R] s24  must not overlap x
 * start holds the bias (zero point folded in) less 32768 a group, modulo 2^24.
 * Cost (AVRxt): 7 cycles a product, (2k + 2.5R + 12) more a group of k inputs. Stack (AVR): 29 bytes. */
void eng_dense_rows1_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum);
void eng_dense_rows2_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum);
void eng_dense_rows3_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum);
void eng_dense_rows4_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum);
void eng_dense_rows5_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum);

/* The same for 8 rows, where start is split and holds the bias alone: start s is top * 65536 + mid * 256 + lo with mid signed,
 * bytes lo, mid, top modulo 256.
 * Bounds that the encoder proves: as above, with an accumulator that is signed and has no bias.
 * Cost (AVRxt): 58 cycles an input and 8 rows, 38 a group, 11 more when the sum of a row's groups leaves 16 bits (at most once
 * a group and row). Stack (AVR): 39 bytes. */
void eng_dense_rows8_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum);

/* sum[n] += more[n], held within +-(2^23 - 1): for layers whose inputs are cut into segments because the sum of all could leave
 * 24 bits. Exact for a result that is clamped before that, which the encoder proves. */
void eng_add_s24(uint8_t *sum, const uint8_t *more, uint16_t count);

/* A rescale ratio as one multiplication: code = floor((sum * mult + offset * 2^(S-24)) / 2^S) - 128, clamped to [lo, hi], with
 * S = 32 or 40 by kernel; offset holds zero point, rounding and the 128. Both are below 2^32.
 * The encoder only writes a record whose steps it has found equal to those of the exact rule, single or double rounding, over
 * the proven range of the sum. */
typedef struct {
    uint32_t mult;
    uint32_t offset;
} eng_step;

typedef struct {
    const eng_step *step; /* [count] */
    uint16_t count;
    int8_t lo, hi;
    uint8_t negative_is_lo; /* 1: every negative sum gives lo (ReLU), and need not be multiplied; else 0 */
} eng_requant_s24;

/* y[n] = requantized sum[n], one record a sum, S = 32 or 40. y may be where sum is.
 * Bound: |sum * mult + offset * 2^(S-24)| < 2^(S+15).  Cost (AVRxt): 119 cycles each with S = 40, 127 with 32, 21 if negative
 * and lo. Both are one piece of code. Stack (AVR): 15 bytes. */
void eng_requant32_s24_s8(const eng_requant_s24 *p, const uint8_t *sum, int8_t *y);
void eng_requant40_s24_s8(const eng_requant_s24 *p, const uint8_t *sum, int8_t *y);

typedef struct {
    const eng_rescale *rescale;
    uint16_t count;
    uint8_t rescale_step;
    eng_output_s8 y;
} eng_requant_exact_s24;

/* The same by the exact rule of dense layers, for ratios that have no eng_step. y may be where sum is. */
void eng_requant_single_s24_s8(const eng_requant_exact_s24 *p, const uint8_t *sum, int8_t *y);

/* What a run counts for, in inputs, when eng_runs_s8 decides whether skipping pays. */
#define ENG_RUN_PRICE 8

/* Where inputs differ from the zero point: runs[0] = number of runs, then for each: inputs skipped since the run before, inputs
 * in the run (1 to 255). */
typedef struct {
    uint16_t in;
    uint16_t slack;   /* slack + gain * in < 32768 */
    uint8_t capacity; /* most runs; the table has 1 + 2*capacity bytes */
    uint8_t gain;
    int8_t zero_x;
} eng_runs;

/* Finds the runs of x[k] != zero_x. Returns 1, or 0 if skipping would not pay: as soon as the inputs in runs exceed
 * slack + gain * (inputs skipped before them) - ENG_RUN_PRICE * runs, or there are more runs than the table takes; then the
 * table is undefined. Full inputs give up after slack inputs, so that they cost little. A gap longer than 255 inputs contains
 * runs of one input that is zero_x; they count as runs, not as inputs in runs. Cost (AVRxt): 4.3 cycles an input outside
 * runs, 4.8 inside, 78 a run. Stack (AVR): 13 bytes. */
uint8_t eng_runs_s8(const eng_runs *p, const int8_t *x, uint8_t *runs);

/* sum[n] = start[n] + sum_k w[n][k] * (x[k] - zero_x) over the inputs in runs: the sum over all inputs.
 * Layout of p as above, groups unused, start split as for eng_dense_rows8_s24: bias without the zero point folded in.
 * x[k] - zero_x in [0, 255], and the finished sum in 24 bits, are proven by the encoder; partial sums may be anything.
 * Accumulators of 16 bits that overflow are put right when it happens, so that no group lengths are needed.
 * Cost (AVRxt): (8R + 6) cycles an input in a run, 24 a run, 10 an overflow. Stack (AVR): 41 bytes. */
void eng_dense_runs1_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum);
void eng_dense_runs2_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum);
void eng_dense_runs3_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum);
void eng_dense_runs4_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum);
void eng_dense_runs5_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum);
void eng_dense_runs8_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum);

/* One filter of eng_conv3x3_pool2_s8: weights by rows; bias with the zero point folded in, s24; mult and offset as in eng_step
 * with S = 40 or 32; lo + 128 and hi + 128. Numbers are little endian. */
typedef struct {
    int8_t w[9];
    uint8_t bias[3];
    uint8_t mult[4];
    uint8_t offset[4];
    uint8_t lo, hi;
} eng_filter3x3;

typedef struct {
    const eng_filter3x3 *filter; /* [out_c] */
    const int8_t *still;         /* [out_c] codes of a window whose inputs are all zero_x */
    uint8_t in_w;                /* 4 ... 255 */
    uint8_t out_h, out_w, out_c; /* of the pooled map: out_h <= (in_h - 2) / 2, out_w <= (in_w - 2) / 2 */
    int8_t zero_x;
    uint8_t negative_is_lo; /* 1: every negative sum gives lo (ReLU); else 0 */
    uint8_t shift32;        /* 1: S = 32; 0: S = 40 */
} eng_conv3x3_pool2;

/* 3 x 3 convolution of one channel (stride 1, no padding) and 2 x 2 max pool (stride 2) in one, as eng_conv2d_max_pool2d_s8.
 *   x [in_h][in_w]            codes, any
 *   y [out_h][out_w][out_c]   must not overlap x
 * Bounds that the encoder proves for every filter: the first two products' sum fits 16 bits (not both weights are -128), so
 * that only later ones are checked; |sum * mult + offset * 2^(S-24)| < 2^(S+15).
 * Cost (AVRxt): 290 cycles a filter and pooled output, 95 more where the sum is not below the clamp by its sign; windows of
 * zero_x only: 75 and 7 a filter. Stack (AVR): 35 bytes. */
void eng_conv3x3_pool2_s8(const eng_conv3x3_pool2 *p, const int8_t *x, int8_t *y);

#ifdef __cplusplus
}
#endif

#endif
