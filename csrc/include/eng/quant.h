/* SPDX-License-Identifier: Apache-2.0 */
/* Requantization: the one place that rounds.
 * Source: B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
 * Inference", CVPR 2018, section 2.2; TensorFlow Lite int8 quantization specification. Twin: tests/reference.py. */
#ifndef ENG_QUANT_H
#define ENG_QUANT_H

#include "eng/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A rescale ratio: mult / 2^31 * 2^left / 2^right.
 * mult in [2^30, 2^31), or 0 for a ratio below 2^-31; left in [0, 30], right in [0, 31], at most one of them non-zero. */
typedef struct {
    int32_t mult;
    uint8_t left;
    uint8_t right;
} eng_rescale;

/* A rescale ratio in full: the bits of an IEEE 754 binary64 number, positive and normal, or 0 with all bits 0. */
typedef struct {
    uint32_t low;
    uint32_t high;
} eng_ratio;

/* How int8 codes are written: zero point and the range of the fused activation, -128 <= lo <= hi <= 127. */
typedef struct {
    int8_t zero;
    int8_t lo;
    int8_t hi;
} eng_output_s8;

/* hi(a, b): round(a * b / 2^31), ties towards +infinity; not both may be INT32_MIN. */
int32_t eng_high_s32(int32_t a, int32_t b);

/* rdiv(v, n): v / 2^n to nearest, ties away from zero, v > INT32_MIN; 0 for n > 31. */
int32_t eng_divide_s32(int32_t v, uint8_t n);

/* rdiv(hi(acc * 2^left, mult), right): "double rounding", convolutions.
 *   hi(a, m)    saturating rounding doubling high multiply: round(a*m / 2^31), ties towards +infinity
 *   rdiv(v, n)  v / 2^n rounded to nearest, ties away from zero
 * acc * 2^left is taken modulo 2^32, as the reference's compiled code does. Monotone in acc while it does not wrap. */
int32_t eng_rescale_double(int32_t acc, const eng_rescale *r);

/* acc * mult / 2^s to nearest, ties away from zero, s = 31 - left + right in [1, 62]: "single rounding" of the 64-bit
 * product, dense. The result is taken modulo 2^32 (the reference leaves it undefined beyond int32). Monotone in acc while it
 * does not wrap. */
int32_t eng_rescale_single(int32_t acc, const eng_rescale *r);

/* acc * ratio as IEEE 754 double arithmetic has it, the product rounded to 53 bits (ties to even), then rounded to nearest,
 * ties away from zero; within [-INT32_MAX, INT32_MAX] (the reference leaves it undefined beyond). Integers only, since a
 * double has 32 bits on AVR. Monotone in acc. */
int32_t eng_rescale_wide(int32_t acc, const eng_ratio *r);

/* clamp(y->zero + eng_rescale_double(acc, r), y->lo, y->hi) */
int8_t eng_requant_double_s8(int32_t acc, const eng_rescale *r, const eng_output_s8 *y);

/* clamp(y->zero + eng_rescale_single(acc, r), y->lo, y->hi) */
int8_t eng_requant_single_s8(int32_t acc, const eng_rescale *r, const eng_output_s8 *y);

/* clamp(y->zero + eng_rescale_wide(acc, r), y->lo, y->hi) */
int8_t eng_requant_wide_s8(int32_t acc, const eng_ratio *r, const eng_output_s8 *y);

#ifdef __cplusplus
}
#endif

#endif
