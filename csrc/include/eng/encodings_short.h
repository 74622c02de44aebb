/* SPDX-License-Identifier: Apache-2.0 */
/* Requantization of convolutions: by multipliers of 24 bits, beside that of 32 bits in eng/encodings.h, in half its time, for
 * sums that start where their codes begin to rise; and by the exact rule. Search and proof:
 * python/enginekit/encode/steps.py. */
#ifndef ENG_ENCODINGS_SHORT_H
#define ENG_ENCODINGS_SHORT_H

#include "eng/quant.h"

#ifdef __cplusplus
extern "C" {
#endif

/* code = lo                                                                         if sum < 0,
 *        min(lo + 1 + floor((sum * 2^doublings * mult + 256 * offset) / 2^32), hi)  else.
 * The sum is one that counts from its first step: the bias holds a start with which it is negative exactly where the code is
 * lo, so that ReLU's zeros need no multiplication. Numbers are little endian. The encoder only writes records whose steps it
 * has found equal to those of the exact rule, single or double rounding, over the proven range of the sum. */
typedef struct {
    uint8_t mult[3];
    uint8_t offset[3];
} eng_short_step;

typedef struct {
    const eng_short_step *step; /* [count] */
    uint16_t count;             /* 1 ... 65535 */
    uint8_t copies;             /* sums of each record, one after the other: 1 ... 255; (copies - 1) * count < 32768 */
    uint8_t doublings;          /* 0 ... 8: more for ratios above 1/256 */
    int8_t lo, hi;              /* lo < hi */
} eng_requant_short;

/* y[i][n] = requantized sum[n][i].
 *   sum [count][copies] s24
 *   y   [copies][count]       may be where sum is if copies is 1, else must not overlap it
 * Bound, proven by the encoder: sum * 2^doublings < 2^24.
 * Cost (AVRxt): 93 a call; 10 a record; 69 a sum below 2^16, 89 a larger one, 15 a negative one; 9 a sum beside a record's
 * first; 3 + 6 * doublings more a sum that is not negative where there are doublings. Stack (AVR): 19 bytes. */
void eng_requant_short_s24_s8(const eng_requant_short *p, const uint8_t *sum, int8_t *y);

/* The same without copies, for fewer bytes of code. */
typedef struct {
    const eng_short_step *step; /* [sums] */
    uint8_t sums;               /* 1 ... 255 */
    uint8_t doublings;          /* 0 ... 8 */
    int8_t lo, hi;              /* lo < hi */
} eng_requant_each;

/* y[n] = requantized sum[n].
 *   sum [sums] s24
 *   y   [sums]                may be where sum is
 * Cost (AVRxt): 59 a call; 72 a sum below 2^16, 92 a larger one, 18 a negative one; doublings as above. Stack (AVR): 12 bytes.
 */
void eng_requant_each_s24_s8(const eng_requant_each *p, const uint8_t *sum, int8_t *y);

/* The same for one record, as of a layer whose weights have one scale; 2^(32 + halvings) in place of 2^32. */
typedef struct {
    const eng_short_step *step;
    uint8_t sums;      /* 1 ... 255 */
    uint8_t doublings; /* 0 ... 8 */
    uint8_t halvings;  /* 0 ... 7: more bits of mult for small ratios */
    int8_t lo, hi;     /* lo < hi */
} eng_requant_same;

/* y[i] = requantized sum[i].
 *   sum [sums] s24
 *   y   [sums]                may be where sum is
 * Cost (AVRxt): 87 a call; 60 a sum below 2^16, 80 a larger one, 14 a negative one; more for one that is not negative: where
 * there are doublings 3 + 6 * doublings, where there are halvings 7 (a larger one 3) + 5 * halvings. Stack (AVR): 14 bytes. */
void eng_requant_same_s24_s8(const eng_requant_same *p, const uint8_t *sum, int8_t *y);

typedef struct {
    const eng_rescale *rescale; /* [count], or one if rescale_step is 0 */
    uint16_t count;             /* 1 ... 65535 */
    uint8_t copies;
    uint8_t rescale_step;
    eng_output_s8 y;
} eng_requant_double;

/* As eng_requant_short_s24_s8 by the exact rule of convolutions, for ratios that have no eng_short_step; sums count from 0.
 * left is 0. Cost (AVRxt): about 160 a sum. Stack (AVR): 26 bytes. */
void eng_requant_double_s24_s8(const eng_requant_double *p, const uint8_t *sum, int8_t *y);

/* Many sums of one channel, whose codes are `stride` apart. */
typedef struct {
    uint16_t stride;
    uint8_t doublings;
    int8_t lo, hi; /* lo < hi */
} eng_requant_short_channel;

typedef struct {
    uint16_t stride;
    eng_output_s8 y;
} eng_requant_double_channel;

/* y[i * stride] = requantized sum[i], with one record for all; rule and bound as above.
 *   sum [count] s24, y not in it; 1 <= count <= 65535
 * Cost (AVRxt): 100 a call; 59 a sum below 2^16, 78 a larger one, 16 a negative one; doublings as above. Stack (AVR): 16
 * bytes. */
void eng_requant_short_channel_s24_s8(const eng_requant_short_channel *p, const eng_short_step *step, const uint8_t *sum,
                                      int8_t *y, uint16_t count);
void eng_requant_double_channel_s24_s8(const eng_requant_double_channel *p, const eng_rescale *rescale, const uint8_t *sum,
                                       int8_t *y, uint16_t count);

#ifdef __cplusplus
}
#endif

#endif
