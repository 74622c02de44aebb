/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over the packed form of quads.h, for AVX-512; vectors as twin.h says. */
#ifndef ENG_X86_QUADS_RUN_H
#define ENG_X86_QUADS_RUN_H

#include "quads.h"
#include "twin.h"

#define QUAD       4  /* points, outputs and codes of a step */
#define SIXTEEN    16 /* outputs that are summed together */
#define MOST_FOURS 4  /* of points that share loads of weights */

/* What loops are for: inputs, and the stride. */
typedef struct {
    uint32_t in, stride;
} quads_kernel;

/* Codes of the first `points` of four at x: of sixteen each a quarter, of eight each the lower half. With a stride of two they
 * are four of sixteen each, and every other one is passed over. */
ENG_INLINE eng_vec points_at(const int8_t *x, uint32_t in, uint32_t stride, uint32_t points)
{
    const __m512i sign = _mm512_set1_epi8(INT8_MIN);
    if (stride == 2) {
        const __m512i first = _mm512_loadu_si512(x), second = _mm512_loadu_si512(x + VECTOR);
        return _mm512_xor_si512(_mm512_shuffle_i64x2(first, second, 0x88), sign);
    }
    const __mmask64 some = points == QUAD ? UINT64_MAX : (UINT64_C(1) << points * in) - 1;
    if (in == 8) {
        const __m256i half = points == QUAD ? _mm256_loadu_si256((const void *)x) : _mm256_maskz_loadu_epi8((__mmask32)some, x);
        return _mm512_xor_si512(_mm512_castsi256_si512(half), sign);
    }
    return _mm512_xor_si512(points == QUAD ? _mm512_loadu_si512(x) : _mm512_maskz_loadu_epi8(some, x), sign);
}

/* Step s of every point, in all lanes of its quarter. */
ENG_INLINE eng_vec step_of_points(eng_vec v, uint32_t in, uint32_t s)
{
    if (in == 8) {
        const __m512i first = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
        return _mm512_permutexvar_epi32(s == 0 ? first : _mm512_add_epi32(first, _mm512_set1_epi32(1)), v);
    }
    switch (s) {
    case 0:
        return _mm512_shuffle_epi32(v, _MM_PERM_AAAA);
    case 1:
        return _mm512_shuffle_epi32(v, _MM_PERM_BBBB);
    case 2:
        return _mm512_shuffle_epi32(v, _MM_PERM_CCCC);
    default:
        return _mm512_shuffle_epi32(v, _MM_PERM_DDDD);
    }
}

/* acc[four points][four outputs] of sixteen outputs of `fours` times four points. */
ENG_INLINE void sum_quads(const eng_vec *x, uint32_t in, uint32_t fours, const int32_t *lane, const uint8_t *w,
                          eng_vec (*acc)[QUAD])
{
#pragma GCC unroll 4
    for (uint32_t q = 0; q < QUAD; ++q) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < fours; ++i) {
            acc[i][q] = vec_load(lane + (size_t)q * ENG_X86_LANE * ENG_LANES);
        }
    }
#pragma GCC unroll 4
    for (uint32_t s = 0; s < in / QUAD; ++s) {
        eng_vec steps[MOST_FOURS];
#pragma GCC unroll 4
        for (uint32_t i = 0; i < fours; ++i) {
            steps[i] = step_of_points(x[i], in, s);
        }
#pragma GCC unroll 4
        for (uint32_t q = 0; q < QUAD; ++q) {
            const eng_vec weights = vec_load(w + (s * QUAD + q) * VECTOR);
#pragma GCC unroll 4
            for (uint32_t i = 0; i < fours; ++i) {
                acc[i][q] = vec_dot(acc[i][q], steps[i], weights);
            }
        }
    }
}

/* Sixteen codes of each of the first `points` of four points, `out` codes apart. */
ENG_INLINE void store_four_points(eng_vec codes, uint32_t points, uint32_t out, int8_t *y)
{
    if (out == SIXTEEN) {
        vec_store_some(codes, points * SIXTEEN, y);
        return;
    }
    _mm_storeu_si128((void *)y, _mm512_castsi512_si128(codes));
    if (points > 1) {
        _mm_storeu_si128((void *)(y + out), _mm512_extracti32x4_epi32(codes, 1));
    }
    if (points > 2) {
        _mm_storeu_si128((void *)(y + 2 * out), _mm512_extracti32x4_epi32(codes, 2));
    }
    if (points > 3) {
        _mm_storeu_si128((void *)(y + 3 * out), _mm512_extracti32x4_epi32(codes, 3));
    }
}

/* The same of 32 codes of each, that lie next to each other. */
ENG_INLINE void store_four_pairs(eng_vec a, eng_vec b, uint32_t points, int8_t *y)
{
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    vec_store_some(_mm512_permutex2var_epi64(a, low, b), points * 2 * SIXTEEN, y);
    if (points > 2) {
        vec_store_some(_mm512_permutex2var_epi64(a, high, b), (points - 2) * 2 * SIXTEEN, y + VECTOR);
    }
}

/* Sixteen outputs from output n on of `fours` times four points. */
ENG_INLINE void codes_of_quads(const eng_x86_quads *p, uint32_t in, uint32_t fours, const eng_vec *x, uint32_t n,
                               const eng_limits *limits, eng_x86_rounding loops, eng_vec *codes)
{
    const void *const lanes = (const uint8_t *)p + p->lane;
    const int32_t *const lane = (const int32_t *)lanes + (size_t)n / QUAD * ENG_X86_LANE * ENG_LANES;
    eng_vec acc[MOST_FOURS][QUAD];
    sum_quads(x, in, fours, lane, (const uint8_t *)p + p->w + (size_t)n * in * QUAD, acc);
#pragma GCC unroll 4
    for (uint32_t q = 0; q < QUAD; ++q) {
        const int32_t *const at = lane + (size_t)q * ENG_X86_LANE * ENG_LANES;
        const eng_quick constants = quick_constants(at, loops);
#pragma GCC unroll 4
        for (uint32_t i = 0; i < fours; ++i) {
            acc[i][q] = rounded(acc[i][q], &constants, at, loops, p->rounding, &p->y);
        }
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < fours; ++i) {
        const __m512i words = _mm512_packs_epi32(acc[i][0], acc[i][1]);
        codes[i] = clamped(_mm512_packs_epi16(words, _mm512_packs_epi32(acc[i][2], acc[i][3])), limits);
    }
}

/* All outputs of `fours` times four points, of the last four `points`. */
ENG_INLINE void run_fours(const eng_x86_quads *p, quads_kernel k, uint32_t fours, uint32_t points, const int8_t *x, int8_t *y,
                          const eng_limits *limits, eng_x86_rounding loops)
{
    const uint32_t in = k.in;
    const uint32_t out = p->out;
    eng_vec four[MOST_FOURS], codes[MOST_FOURS], more[MOST_FOURS];
#pragma GCC unroll 4
    for (uint32_t i = 0; i < fours; ++i) {
        four[i] = points_at(x + (size_t)i * QUAD * k.stride * in, in, k.stride, points);
    }
    if (out == 2 * SIXTEEN) {
        codes_of_quads(p, in, fours, four, 0, limits, loops, codes);
        codes_of_quads(p, in, fours, four, SIXTEEN, limits, loops, more);
#pragma GCC unroll 4
        for (uint32_t i = 0; i < fours; ++i) {
            store_four_pairs(codes[i], more[i], points, y + (size_t)i * QUAD * out);
        }
        return;
    }
    for (uint32_t n = 0; n < out; n += SIXTEEN) {
        codes_of_quads(p, in, fours, four, n, limits, loops, codes);
#pragma GCC unroll 4
        for (uint32_t i = 0; i < fours; ++i) {
            store_four_points(codes[i], points, out, y + (size_t)i * QUAD * out + n);
        }
    }
}

/* A row of points. */
ENG_INLINE void run_points(const eng_x86_quads *p, quads_kernel k, const int8_t *x, int8_t *y, const eng_limits *limits,
                           eng_x86_rounding loops)
{
    const size_t step = (size_t)QUAD * k.stride * k.in, y_step = (size_t)QUAD * p->out;
    uint32_t left = p->points;
    for (; left >= MOST_FOURS * QUAD; left -= MOST_FOURS * QUAD) {
        run_fours(p, k, MOST_FOURS, QUAD, x, y, limits, loops);
        x += MOST_FOURS * step;
        y += MOST_FOURS * y_step;
    }
    for (; left >= QUAD; left -= QUAD) {
        run_fours(p, k, 1, QUAD, x, y, limits, loops);
        x += step;
        y += y_step;
    }
    if (left > 0) {
        run_fours(p, k, 1, left, x, y, limits, loops);
    }
}

ENG_INLINE void run_rows_of_points(const eng_x86_quads *p, quads_kernel k, const int8_t *x, int8_t *y, eng_x86_rounding loops)
{
    const eng_limits limits = vec_limits(&p->clamp, ENG_LANES, eng_x86_saturates(&p->clamp));
    const size_t x_row = p->x_row, y_row = (size_t)p->points * p->out;
    for (uint32_t left = p->rows; left > 0; --left) {
        run_points(p, k, x, y, &limits, loops);
        x += x_row;
        y += y_row;
    }
}

ENG_INLINE void any_quads(const eng_x86_quads *p, uint32_t in, uint32_t stride, const int8_t *x, int8_t *y)
{
    const quads_kernel k = {in, stride};
    switch (p->rounding) {
    case ENG_X86_BRIEF:
        run_rows_of_points(p, k, x, y, ENG_X86_BRIEF);
        break;
    case ENG_X86_BRIEF_SIGNED:
        run_rows_of_points(p, k, x, y, ENG_X86_BRIEF_SIGNED);
        break;
    default:
        run_rows_of_points(p, k, x, y, ENG_X86_DOUBLE);
        break;
    }
}

static __attribute__((noinline)) void run_points_of_8(const eng_x86_quads *p, const int8_t *x, int8_t *y)
{
    any_quads(p, 8, 1, x, y);
}

static __attribute__((noinline)) void run_points_of_16(const eng_x86_quads *p, const int8_t *x, int8_t *y)
{
    any_quads(p, 16, 1, x, y);
}

static __attribute__((noinline)) void run_every_other_point(const eng_x86_quads *p, const int8_t *x, int8_t *y)
{
    any_quads(p, 16, 2, x, y);
}

static void run_quads(const eng_x86_quads *p, const int8_t *x, int8_t *y)
{
    if (p->stride == 2) {
        run_every_other_point(p, x, y);
    } else if (p->in == 8) {
        run_points_of_8(p, x, y);
    } else {
        run_points_of_16(p, x, y);
    }
}

#endif
