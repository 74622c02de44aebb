/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of floats for the training twins, by instruction set: masks select the first elements of a short vector. */
#ifndef ENG_TRAIN_VECTORS_H
#define ENG_TRAIN_VECTORS_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define ENG_INLINE static inline __attribute__((always_inline))

#ifdef __AVX512F__

#define ENG_LANES     16
#define ENG_TILE_ROWS 8

typedef __m512 eng_floats;
typedef __m512i eng_ints;
typedef __mmask16 eng_mask;

ENG_INLINE eng_mask mask_first(size_t count)
{
    return (eng_mask)(count >= ENG_LANES ? 0xFFFFu : (1u << count) - 1u);
}

ENG_INLINE eng_floats load(const float *p)
{
    return _mm512_loadu_ps(p);
}

ENG_INLINE void store(float *p, eng_floats v)
{
    _mm512_storeu_ps(p, v);
}

ENG_INLINE eng_floats load_first(const float *p, eng_mask m)
{
    return _mm512_maskz_loadu_ps(m, p);
}

ENG_INLINE void store_first(float *p, eng_mask m, eng_floats v)
{
    _mm512_mask_storeu_ps(p, m, v);
}

ENG_INLINE eng_floats spread(float x)
{
    return _mm512_set1_ps(x);
}

ENG_INLINE eng_floats add(eng_floats a, eng_floats b)
{
    return _mm512_add_ps(a, b);
}

ENG_INLINE eng_floats multiply(eng_floats a, eng_floats b)
{
    return _mm512_mul_ps(a, b);
}

ENG_INLINE eng_floats nearest_half(eng_floats v)
{
    return _mm512_cvtph_ps(_mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

ENG_INLINE eng_ints spread_int(int32_t x)
{
    return _mm512_set1_epi32(x);
}

/* Bytes, one a lane. */
ENG_INLINE eng_ints load_bytes(const uint8_t *p, eng_mask m)
{
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(m, p));
}

ENG_INLINE void store_bytes(uint8_t *p, eng_mask m, eng_ints v)
{
    _mm512_mask_cvtepi32_storeu_epi8(p, m, v);
}

/* v where it is above best, or is the first NaN: then at becomes k. */
ENG_INLINE void take_larger(eng_floats v, eng_ints k, eng_floats *best, eng_ints *at)
{
    const eng_mask known = _mm512_cmp_ps_mask(*best, *best, _CMP_ORD_Q);
    const eng_mask take = _mm512_mask_cmp_ps_mask(known, v, *best, _CMP_NLE_UQ);
    *best = _mm512_mask_mov_ps(*best, take, v);
    *at = _mm512_mask_mov_epi32(*at, take, k);
}

/* min(max(v, 0), limit), NaN stays NaN. */
ENG_INLINE eng_floats rectify(eng_floats v, eng_floats limit)
{
    const eng_floats zero = _mm512_setzero_ps();
    v = _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, zero, _CMP_LT_OQ), zero);
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, limit, _CMP_GT_OQ), limit);
}

/* dy where not (y <= 0 or y >= limit), else 0. */
ENG_INLINE eng_floats open_only(eng_floats y, eng_floats limit, eng_floats dy)
{
    const eng_mask open = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_NLE_UQ);
    return _mm512_maskz_mov_ps(_mm512_mask_cmp_ps_mask(open, y, limit, _CMP_NGE_UQ), dy);
}

/* Sixteen floats to pick from: four rows of four. */
typedef __m512 eng_patch;

ENG_INLINE eng_patch patch_of(const float *x, size_t row)
{
    const __m256 upper = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x)), _mm_loadu_ps(x + row), 1);
    const __m256 lower = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x + 2 * row)), _mm_loadu_ps(x + 3 * row), 1);
    return _mm512_insertf32x8(_mm512_castps256_ps512(upper), lower, 1);
}

ENG_INLINE eng_floats pick(eng_patch patch, eng_ints at)
{
    return _mm512_permutexvar_ps(at, patch);
}

ENG_INLINE eng_ints add_ints(eng_ints a, eng_ints b)
{
    return _mm512_add_epi32(a, b);
}

ENG_INLINE eng_ints subtract_ints(eng_ints a, eng_ints b)
{
    return _mm512_sub_epi32(a, b);
}

ENG_INLINE eng_ints and_ints(eng_ints a, eng_ints b)
{
    return _mm512_and_si512(a, b);
}

#else

#define ENG_LANES     8
#define ENG_TILE_ROWS 4

typedef __m256 eng_floats;
typedef __m256i eng_ints;
typedef __m256i eng_mask;

ENG_INLINE eng_mask mask_first(size_t count)
{
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count > ENG_LANES ? ENG_LANES : (int32_t)count), index);
}

ENG_INLINE eng_floats load(const float *p)
{
    return _mm256_loadu_ps(p);
}

ENG_INLINE void store(float *p, eng_floats v)
{
    _mm256_storeu_ps(p, v);
}

ENG_INLINE eng_floats load_first(const float *p, eng_mask m)
{
    return _mm256_maskload_ps(p, m);
}

ENG_INLINE void store_first(float *p, eng_mask m, eng_floats v)
{
    _mm256_maskstore_ps(p, m, v);
}

ENG_INLINE eng_floats spread(float x)
{
    return _mm256_set1_ps(x);
}

ENG_INLINE eng_floats add(eng_floats a, eng_floats b)
{
    return _mm256_add_ps(a, b);
}

ENG_INLINE eng_floats multiply(eng_floats a, eng_floats b)
{
    return _mm256_mul_ps(a, b);
}

ENG_INLINE eng_floats nearest_half(eng_floats v)
{
    return _mm256_cvtph_ps(_mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

ENG_INLINE eng_ints spread_int(int32_t x)
{
    return _mm256_set1_epi32(x);
}

ENG_INLINE size_t lanes_of(eng_mask m)
{
    return (size_t)__builtin_popcount((unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(m)));
}

/* Bytes, one a lane. */
ENG_INLINE eng_ints load_bytes(const uint8_t *p, eng_mask m)
{
    uint64_t bytes = 0;
    __builtin_memcpy(&bytes, p, lanes_of(m));
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)bytes));
}

ENG_INLINE void store_bytes(uint8_t *p, eng_mask m, eng_ints v)
{
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const int64_t bytes = _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
    __builtin_memcpy(p, &bytes, lanes_of(m));
}

/* v where it is above best, or is the first NaN: then at becomes k. */
ENG_INLINE void take_larger(eng_floats v, eng_ints k, eng_floats *best, eng_ints *at)
{
    const eng_floats known = _mm256_cmp_ps(*best, *best, _CMP_ORD_Q);
    const eng_floats take = _mm256_and_ps(known, _mm256_cmp_ps(v, *best, _CMP_NLE_UQ));
    *best = _mm256_blendv_ps(*best, v, take);
    *at = _mm256_blendv_epi8(*at, k, _mm256_castps_si256(take));
}

/* min(max(v, 0), limit), NaN stays NaN. */
ENG_INLINE eng_floats rectify(eng_floats v, eng_floats limit)
{
    v = _mm256_andnot_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_LT_OQ), v);
    return _mm256_blendv_ps(v, limit, _mm256_cmp_ps(v, limit, _CMP_GT_OQ));
}

/* dy where not (y <= 0 or y >= limit), else 0. */
ENG_INLINE eng_floats open_only(eng_floats y, eng_floats limit, eng_floats dy)
{
    const eng_floats above = _mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_NLE_UQ);
    return _mm256_and_ps(dy, _mm256_and_ps(above, _mm256_cmp_ps(y, limit, _CMP_NGE_UQ)));
}

/* Sixteen floats to pick from: four rows of four. */
typedef struct {
    __m256 upper, lower;
} eng_patch;

ENG_INLINE eng_patch patch_of(const float *x, size_t row)
{
    const eng_patch patch = {
        .upper = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x)), _mm_loadu_ps(x + row), 1),
        .lower = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x + 2 * row)), _mm_loadu_ps(x + 3 * row), 1),
    };
    return patch;
}

ENG_INLINE eng_floats pick(eng_patch patch, eng_ints at)
{
    const eng_floats in_lower = _mm256_castsi256_ps(_mm256_slli_epi32(at, 28)); /* bit 3 becomes the sign */
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(patch.upper, at), _mm256_permutevar8x32_ps(patch.lower, at), in_lower);
}

ENG_INLINE eng_ints add_ints(eng_ints a, eng_ints b)
{
    return _mm256_add_epi32(a, b);
}

ENG_INLINE eng_ints subtract_ints(eng_ints a, eng_ints b)
{
    return _mm256_sub_epi32(a, b);
}

ENG_INLINE eng_ints and_ints(eng_ints a, eng_ints b)
{
    return _mm256_and_si256(a, b);
}

#endif

#endif
