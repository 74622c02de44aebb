/* SPDX-License-Identifier: Apache-2.0 */
/* What the loops share. The instruction set that includes them has defined before
 *   eng_vec, ENG_LANES                                a vector of int32
 *   ENG_POINTS_1 to ENG_POINTS_4                      positions that share a pass over 1 to 4 blocks of outputs
 *   ENG_STRIPS                                        strips of a depthwise convolution that share a pass
 *   ENG_ROUNDINGS(DO)                                 DO(form) for the forms that are worth loops of their own
 *   code_t                                            a code of the image
 *   vec_load(p), vec_zero(), vec_lowest(), vec_add(a, b), vec_max(a, b)
 *   vec_load_any(p)                                   as vec_load, from any address
 *   vec_step(p)                                       the four bytes at p in every lane
 *   vec_dot(acc, x, w)                                acc + products of a step's codes and weights, modulo 2^32
 *   vec_round(acc, lane, form)                        the form of lanes.h, before the clamp; the exact ones before the zero
 * point vec_store(v, clamp, count, y)                     clamps to codes, writes the first count vec_store_four(v, output,
 * count, y)               the same for four vectors that lie next to each other mix_rows(rows, n, mixed) step i of n: code i of
 * every row in rows; rounds n up to a strip copy_codes(x, n, image), fill_codes(image, n, c)  int8 codes to the image's, and
 * one code many times copy_pixel(x, n, image)                           as copy_codes; may write up to ENG_PREPARE_ALIGNMENT
 * bytes more */
#ifndef ENG_X86_TWIN_H
#define ENG_X86_TWIN_H

#include "lanes.h"

#define ENG_INLINE static inline __attribute__((always_inline))
#define VECTOR     ((size_t)ENG_LANES * sizeof(int32_t))

static __attribute__((noinline)) eng_vec exact_codes(eng_vec acc, const int32_t *lane, eng_x86_rounding form, int8_t zero)
{
    switch (form) {
    case ENG_X86_SINGLE:
        return vec_add(vec_round(acc, lane, ENG_X86_SINGLE), vec_all(zero));
    case ENG_X86_TAME:
        return vec_add(vec_round(acc, lane, ENG_X86_TAME), vec_all(zero));
    default:
        return vec_add(vec_round(acc, lane, ENG_X86_DOUBLE), vec_all(zero));
    }
}

/* Codes before the clamp. loops: the form that the caller's loops are for, of ENG_ROUNDINGS or ENG_X86_DOUBLE for any other. */
ENG_INLINE eng_vec rounded(eng_vec acc, const int32_t *lane, eng_x86_rounding loops, eng_x86_rounding form,
                           const eng_output_s8 *y)
{
    switch (loops) {
    case ENG_X86_QUICK:
    case ENG_X86_SIGNED:
        return vec_round(acc, lane, loops);
    case ENG_X86_TAME:
        return vec_add(vec_round(acc, lane, ENG_X86_TAME), vec_all(y->zero));
    default:
        return exact_codes(acc, lane, form, y->zero);
    }
}

#endif
