/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* What the loops share. The instruction set that includes them has defined before
 *   eng_vec, ENG_LANES               a vector of int32
 *   ENG_POINTS_1 to ENG_POINTS_4     points that share a pass over 1 to 4 blocks of outputs
 *   ENG_PAIRS_2, ENG_PAIRS_4         pairs that share a pass over 2 and 4 blocks
 *   code_t                           a code of the copy of x
 *   vec_load(p), vec_keep(p, v), vec_zero(), vec_all(v), vec_add(a, b), vec_max(a, b)
 *   vec_load_any(p)                  as vec_load, from any address
 *   vec_step(p), vec_two_steps(p)    the four bytes at p in every lane, or the eight bytes in every two
 *   ENG_RAW                          whether there are vec_raw_step and vec_raw_two_steps: the same of codes not yet copied
 *   ENG_THIRDS                       whether registers are so many that neighbours may share codes of three kernel columns,
 *                                    and full blocks a pass with one of halves
 *   vec_join(v)                      sums of two neighbouring lanes each, in the lower half
 *   vec_dot(acc, x, w)               acc + products of a step's codes and weights, modulo 2^32
 *   vec_quick(acc, k, form)          a quick form of lanes.h, before the clamp
 *   vec_exact(acc, lane, form)       an exact one, before zero point and clamp
 *   rounding_mode(form), restore_mode(form, mode)   around what calls vec_quick and is not inlined
 *   eng_limits, vec_limits(clamp, count, saturates)   the clamp, none if it only saturates, and how many codes are written
 *   vec_store(v, limits, y)          clamps, writes the first `count` codes
 *   vec_store_four(v, limits, y)     the same of four vectors that lie next to each other, vec_store_full all of them
 *   vec_store_apart(v, vectors, limits, step, y)    the first `count` of each of three or four, `step` codes apart
 *   ENG_SHORT_ROWS                   codes of the longest rows of a copy that are copied at once, or 0, and then eng_inside,
 *                                    vec_padding(code), vec_inside(left, n), vec_copy_row(padding, inside, x, copy)
 *   copy_codes(x, n, copy), fill_codes(copy, n, c)  int8 codes to the copy's, and one code many times
 *   mix_rows(rows, n, mixed)         step i of n: code i of every row in rows; rounds n up to four vectors
 *   fill_steps(n, c, mixed)          one code in as many steps */
/* clang-format on */
#ifndef ENG_X86_TWIN_H
#define ENG_X86_TWIN_H

#include "lanes.h"
#include "quick_run.h"

#define VECTOR ((size_t)ENG_LANES * sizeof(int32_t))

/* Codes before the clamp by a form that has no loops of its own. */
static __attribute__((noinline)) eng_vec any_codes(eng_vec acc, const int32_t *lane, eng_x86_rounding form, int8_t zero)
{
    const eng_quick k = quick_constants(lane, ENG_X86_QUICK);
    switch (form) {
    case ENG_X86_SINGLE:
        return vec_add(vec_exact(acc, lane, ENG_X86_SINGLE), vec_all(zero));
    case ENG_X86_TAME:
        return vec_add(vec_exact(acc, lane, ENG_X86_TAME), vec_all(zero));
    case ENG_X86_QUICK:
        return vec_quick(acc, &k, ENG_X86_QUICK);
    default:
        return vec_add(vec_exact(acc, lane, ENG_X86_DOUBLE), vec_all(zero));
    }
}

/* Codes before the clamp. loops: the quick form that the caller's loops are for, or ENG_X86_DOUBLE for any other. k: of lane.
 */
ENG_INLINE eng_vec rounded(eng_vec acc, const eng_quick *k, const int32_t *lane, eng_x86_rounding loops, eng_x86_rounding form,
                           const eng_output_s8 *y)
{
    return loops >= ENG_X86_QUICK ? vec_quick(acc, k, loops) : any_codes(acc, lane, form, y->zero);
}

#endif
