/* SPDX-License-Identifier: Apache-2.0 */
/* What twins of eight lanes share: vectors of int32 as twin.h says, but for codes and their products. */
#ifndef ENG_X86_EIGHT_LANES_RUN_H
#define ENG_X86_EIGHT_LANES_RUN_H

#include <immintrin.h>

#define ENG_LANES 8

typedef __m256i eng_vec;

#include "quick_run.h"

ENG_INLINE eng_vec vec_load(const void *p)
{
    return _mm256_load_si256(p);
}

ENG_INLINE eng_vec vec_load_any(const void *p)
{
    return _mm256_loadu_si256(p);
}

ENG_INLINE void vec_keep(eng_vec *p, eng_vec v)
{
    _mm256_store_si256(p, v);
}

ENG_INLINE eng_vec vec_zero(void)
{
    return _mm256_setzero_si256();
}

ENG_INLINE eng_vec vec_all(int32_t v)
{
    return _mm256_set1_epi32(v);
}

ENG_INLINE eng_vec vec_lowest(void)
{
    return _mm256_set1_epi32(INT32_MIN);
}

ENG_INLINE eng_vec vec_add(eng_vec a, eng_vec b)
{
    return _mm256_add_epi32(a, b);
}

ENG_INLINE eng_vec vec_max(eng_vec a, eng_vec b)
{
    return _mm256_max_epi32(a, b);
}

ENG_INLINE eng_vec vec_step(const uint8_t *p)
{
    int32_t step;
    __builtin_memcpy(&step, p, sizeof step);
    return _mm256_set1_epi32(step);
}

/* The eight bytes at p in every two lanes. */
ENG_INLINE eng_vec vec_two_steps(const uint8_t *p)
{
    int64_t steps;
    __builtin_memcpy(&steps, p, sizeof steps);
    return _mm256_set1_epi64x(steps);
}

/* Sums of two neighbouring lanes each, in the lower half. */
ENG_INLINE eng_vec vec_join(eng_vec v)
{
    const __m256i sums = _mm256_add_epi32(v, _mm256_srli_epi64(v, 32));
    return _mm256_permutevar8x32_epi32(sums, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
}

ENG_INLINE eng_vec vec_requant_double(eng_vec acc, const int32_t *lane)
{
    const __m256i mult = vec_load(lane + ENG_LANES), right = vec_load(lane + 3 * ENG_LANES);
    const __m256i half = _mm256_set1_epi64x(INT64_C(1) << 30), one = _mm256_set1_epi32(1);
    const __m256i a = _mm256_sllv_epi32(acc, vec_load(lane + 2 * ENG_LANES));
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(a, mult), half);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(mult, 32)), half);
    const __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xaa);
    /* Ties of negative numbers go down: one less before rounding half up. */
    const __m256i lower = _mm256_add_epi32(high, _mm256_srai_epi32(high, 31));
    const __m256i twice = _mm256_srav_epi32(lower, _mm256_sub_epi32(right, one));
    const __m256i rounded = _mm256_add_epi32(_mm256_srai_epi32(twice, 1), _mm256_and_si256(twice, one));
    return _mm256_blendv_epi8(rounded, high, _mm256_cmpeq_epi32(right, _mm256_setzero_si256()));
}

/* Sums so small that twice a product fits 64 bits and a rounding addend 32: the upper half of a product is the rounded one. */
ENG_INLINE eng_vec vec_requant_tame(eng_vec acc, const int32_t *lane)
{
    const __m256i mult = vec_load(lane + ENG_LANES), right = vec_load(lane + 3 * ENG_LANES);
    const __m256i half = vec_load(lane + 4 * ENG_LANES), one_half = _mm256_set1_epi64x(INT64_C(1) << 31);
    const __m256i a = _mm256_sllv_epi32(acc, vec_load(lane + 2 * ENG_LANES));
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(a, mult), one_half);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(mult, 32)), one_half);
    const __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    /* Ties of negative numbers go down, unless there is nothing to divide. */
    const __m256i divides = _mm256_cmpgt_epi32(right, _mm256_setzero_si256());
    const __m256i lower = _mm256_and_si256(divides, _mm256_srai_epi32(high, 31));
    return _mm256_srav_epi32(_mm256_add_epi32(_mm256_add_epi32(high, half), lower), right);
}

/* floor((product + 2^(s-1)) / 2^s) of 64 bits, one less before if negative; s = shift in [1, 62]. Shifted as unsigned with
 * 2^63 added and its share taken off: there is no arithmetic shift of 64 bits. */
ENG_INLINE __m256i rescaled(__m256i acc, __m256i mult, __m256i shift)
{
    const __m256i one = _mm256_set1_epi64x(1), top = _mm256_set1_epi64x(INT64_MIN);
    const __m256i negative = _mm256_cmpgt_epi64(_mm256_setzero_si256(), _mm256_slli_epi64(acc, 32));
    const __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(shift, one));
    const __m256i product = _mm256_add_epi64(_mm256_mul_epi32(acc, mult), negative);
    const __m256i raised = _mm256_xor_si256(_mm256_add_epi64(product, half), top);
    return _mm256_sub_epi64(_mm256_srlv_epi64(raised, shift), _mm256_srlv_epi64(top, shift));
}

ENG_INLINE eng_vec vec_requant_single(eng_vec acc, const int32_t *lane)
{
    const __m256i mult = vec_load(lane + ENG_LANES), shift = vec_load(lane + 2 * ENG_LANES);
    const __m256i even = rescaled(acc, mult, _mm256_and_si256(shift, _mm256_set1_epi64x(UINT32_MAX)));
    const __m256i odd = rescaled(_mm256_srli_epi64(acc, 32), _mm256_srli_epi64(mult, 32), _mm256_srli_epi64(shift, 32));
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

ENG_INLINE bool is_quick(eng_x86_rounding form)
{
    return form >= ENG_X86_QUICK;
}

/* Rounding down everywhere, no exceptions, and denormals as they are: what quick forms want of the thread's mode; returns it
 * as it was. What rounds is not inlined where modes are set, or it could be moved. */
static uint32_t rounding_mode(eng_x86_rounding form)
{
    const uint32_t mode = is_quick(form) ? _mm_getcsr() : 0;
    if (is_quick(form)) {
        _mm_setcsr(_MM_MASK_MASK | _MM_ROUND_DOWN);
    }
    return mode;
}

static void restore_mode(eng_x86_rounding form, uint32_t mode)
{
    if (is_quick(form)) {
        _mm_setcsr(mode);
    }
}

/* In the mode that rounding_mode sets. */
ENG_INLINE eng_vec vec_quick(eng_vec acc, const eng_quick *k, eng_x86_rounding form)
{
    __m256 offset = _mm256_castsi256_ps(k->offset);
    if (form != ENG_X86_BRIEF) {
        const __m256 negative = _mm256_castsi256_ps(_mm256_cmpgt_epi32(k->shift, acc));
        offset = _mm256_blendv_ps(offset, _mm256_castsi256_ps(k->below), negative);
    }
    const __m256 v = _mm256_cvtepi32_ps(acc);
    if (form == ENG_X86_QUICK) {
        offset = _mm256_fmadd_ps(v, _mm256_castsi256_ps(k->fine), offset);
    }
    return _mm256_cvtps_epi32(_mm256_fmadd_ps(v, _mm256_castsi256_ps(k->scale), offset));
}

/* The exact forms, before the zero point. */
ENG_INLINE eng_vec vec_exact(eng_vec acc, const int32_t *lane, eng_x86_rounding form)
{
    switch (form) {
    case ENG_X86_SINGLE:
        return vec_requant_single(acc, lane);
    case ENG_X86_TAME:
        return vec_requant_tame(acc, lane);
    default:
        return vec_requant_double(acc, lane);
    }
}

/* A clamp, and how many codes are written. */
typedef struct {
    eng_vec lo, hi;
    uint32_t count;
} eng_limits;

ENG_INLINE eng_limits vec_limits(const eng_x86_clamp *clamp, uint32_t count, bool saturates)
{
    (void)saturates;
    const eng_limits limits = {vec_load(clamp->lo), vec_load(clamp->hi), count};
    return limits;
}

/* The first `size` and the last of `count` codes, that many or twice as many. */
#define COPY_ENDS(y, codes, count, size)                                                                                       \
    do {                                                                                                                       \
        int8_t ends[2][size];                                                                                                  \
        __builtin_memcpy(ends[0], codes, size);                                                                                \
        __builtin_memcpy(ends[1], (codes) + (count) - (size), size);                                                           \
        __builtin_memcpy(y, ends[0], size);                                                                                    \
        __builtin_memcpy((y) + (count) - (size), ends[1], size);                                                               \
    } while (0)

/* Some of 32 codes. */
ENG_INLINE void store_some(__m256i v, uint32_t count, int8_t *y)
{
    int8_t codes[4 * ENG_LANES];
    _mm256_storeu_si256((void *)codes, v);
    if (count >= 16) {
        COPY_ENDS(y, codes, count, 16);
    } else if (count >= 8) {
        COPY_ENDS(y, codes, count, 8);
    } else if (count >= 4) {
        COPY_ENDS(y, codes, count, 4);
    } else if (count >= 2) {
        COPY_ENDS(y, codes, count, 2);
    } else if (count > 0) {
        *y = codes[0];
    }
}

/* Codes of four vectors, clamped. */
ENG_INLINE __m256i four_codes(const eng_vec *v, const eng_limits *limits)
{
    const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
    const __m256i codes = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    return _mm256_min_epi8(_mm256_max_epi8(codes, limits->lo), limits->hi);
}

ENG_INLINE void vec_store(eng_vec v, const eng_limits *limits, int8_t *y)
{
    const eng_vec four[4] = {v, v, v, v};
    store_some(four_codes(four, limits), limits->count, y);
}

ENG_INLINE void vec_store_four(const eng_vec *v, const eng_limits *limits, int8_t *y)
{
    store_some(four_codes(v, limits), limits->count, y);
}

ENG_INLINE void vec_store_full(const eng_vec *v, const eng_limits *limits, int8_t *y)
{
    _mm256_storeu_si256((void *)y, four_codes(v, limits));
}

ENG_INLINE void vec_store_apart(const eng_vec *v, uint32_t vectors, const eng_limits *limits, size_t step, int8_t *y)
{
    const __m256i codes = four_codes(v, limits);
    if (limits->count != ENG_LANES) {
        int8_t four[4][ENG_LANES];
        _mm256_storeu_si256((void *)four, codes);
        for (uint32_t i = 0; i < vectors; ++i) {
            store_some(_mm256_castsi128_si256(_mm_loadl_epi64((const void *)four[i])), limits->count, y + i * step);
        }
        return;
    }
    const __m128i low = _mm256_castsi256_si128(codes), high = _mm256_extracti128_si256(codes, 1);
    const __m128i four[4] = {low, _mm_unpackhi_epi64(low, low), high, _mm_unpackhi_epi64(high, high)};
#pragma GCC unroll 4
    for (uint32_t i = 0; i < vectors; ++i) {
        _mm_storel_epi64((void *)(y + i * step), four[i]);
    }
}

/* Of minimal filtering, see winograd_run.h. */
ENG_INLINE eng_vec vec_widen(const int8_t *x)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)x));
}

/* 16 channels of one tile. */
ENG_INLINE eng_vec vec_chunks(const int16_t *const *at, size_t offset)
{
    return _mm256_loadu_si256((const void *)(at[0] + offset));
}

ENG_INLINE eng_vec vec_pairs(const int16_t *p)
{
    return _mm256_broadcastsi128_si256(_mm_load_si128((const void *)p));
}

/* Pair number i of the four. */
ENG_INLINE eng_vec vec_spread(eng_vec pairs, uint32_t i)
{
    switch (i) {
    case 0:
        return _mm256_shuffle_epi32(pairs, 0x00);
    case 1:
        return _mm256_shuffle_epi32(pairs, 0x55);
    case 2:
        return _mm256_shuffle_epi32(pairs, 0xaa);
    default:
        return _mm256_shuffle_epi32(pairs, 0xff);
    }
}

ENG_INLINE eng_vec vec_pair(const int16_t *p)
{
    int32_t pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    return _mm256_set1_epi32(pair);
}

#endif
