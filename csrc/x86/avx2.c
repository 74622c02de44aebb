/* SPDX-License-Identifier: Apache-2.0 */
/* Twins for AVX2: eight outputs times two codes an instruction. Codes + 128 and weights are widened to int16 beforehand:
 * products of bytes would be summed with saturation. */
#include "depthwise.h"
#include "narrow.h"
#include "winograd.h"

#define ENG_RAW        0
#define ENG_THIRDS     0
#define ENG_SHORT_ROWS 0

/* Positions that share a pass over 1 to 4 blocks: sums, weights and one step of x fit 16 registers. */
#define ENG_POINTS_1 8
#define ENG_POINTS_2 4
#define ENG_POINTS_3 3
#define ENG_POINTS_4 2
#define ENG_PAIRS_2  4
#define ENG_PAIRS_4  2

typedef int16_t code_t;

#include "eight_lanes_run.h"

ENG_INLINE eng_vec vec_dot(eng_vec acc, eng_vec x, eng_vec w)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(x, w));
}

ENG_INLINE void copy_codes(const int8_t *x, size_t n, code_t *image)
{
    for (size_t i = 0; i < n; ++i) {
        image[i] = (code_t)(x[i] + 128);
    }
}

ENG_INLINE void fill_codes(code_t *image, size_t n, int16_t code)
{
    for (size_t i = 0; i < n; ++i) {
        image[i] = code;
    }
}

ENG_INLINE void fill_steps(size_t n, int16_t code, uint8_t *mixed)
{
    for (size_t i = 0; i < n; i += ENG_LANES) {
        _mm256_storeu_si256((void *)(mixed + i * sizeof(int32_t)), _mm256_set1_epi16(code));
    }
}

ENG_INLINE void mix_strip(const int8_t *a, const int8_t *b, uint8_t *mixed)
{
    const __m128i sign = _mm_set1_epi8(INT8_MIN);
    for (size_t i = 0; i < 4 * ENG_LANES; i += 8) {
        const __m128i ai = _mm_cvtepu8_epi16(_mm_xor_si128(sign, _mm_loadl_epi64((const void *)(a + i))));
        const __m128i bi = _mm_cvtepu8_epi16(_mm_xor_si128(sign, _mm_loadl_epi64((const void *)(b + i))));
        __m128i *const to = (void *)(mixed + i * sizeof(int32_t));
        _mm_storeu_si128(to, _mm_unpacklo_epi16(ai, bi));
        _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(ai, bi));
    }
}

ENG_INLINE void mix_rows(const int8_t *const *rows, size_t n, uint8_t *mixed)
{
    enum { STRIP_CODES = 4 * ENG_LANES };
    size_t i = 0;
    for (; i + STRIP_CODES <= n; i += STRIP_CODES) {
        mix_strip(rows[0] + i, rows[1] + i, mixed + i * sizeof(int32_t));
    }
    if (i < n) {
        int8_t rest[2][STRIP_CODES] = {{0}};
        __builtin_memcpy(rest[0], rows[0] + i, n - i);
        __builtin_memcpy(rest[1], rows[1] + i, n - i);
        mix_strip(rest[0], rest[1], mixed + i * sizeof(int32_t));
    }
}

/* See winograd_run.h. No pair of products saturates: winograd.h. */
#define ENG_ROWS     3
#define ENG_SHUFFLED 2

ENG_INLINE eng_vec vec_dot_pairs(eng_vec acc, eng_vec w, eng_vec x)
{
    return vec_add(acc, _mm256_madd_epi16(x, w));
}

ENG_INLINE eng_vec vec_dot_pair(eng_vec acc, eng_vec w, eng_vec pairs, uint32_t i)
{
    return vec_dot_pairs(acc, w, vec_spread(pairs, i));
}

ENG_INLINE eng_vec vec_dot_at(eng_vec acc, eng_vec w, const int16_t *p)
{
    return vec_dot_pairs(acc, w, vec_pair(p));
}

#include "depthwise_run.h"
#include "products_run.h"
#include "winograd_run.h"

static __attribute__((noinline)) void quick_codes(const int32_t *lane, const int32_t *acc, int32_t *codes)
{
    const eng_quick k = quick_constants(lane, ENG_X86_QUICK);
    _mm256_storeu_si256((void *)codes, vec_quick(vec_load_any(acc), &k, ENG_X86_QUICK));
}

void eng_avx2_quick(const int32_t *lane, const int32_t *acc, int32_t *codes)
{
    const uint32_t mode = rounding_mode(ENG_X86_QUICK);
    quick_codes(lane, acc, codes);
    restore_mode(ENG_X86_QUICK, mode);
}

void eng_avx2_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_products *const p = packed;
    if (p->narrow != 0) {
        eng_avx2_narrow(p, arena + l->x, arena + l->y, scratch);
        return;
    }
    run_products(l, packed, arena, scratch);
}

void eng_avx2_winograd(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_winograd(l, packed, arena, scratch);
}

void eng_avx2_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_depthwise(l, packed, arena, scratch);
}

void eng_avx2_dense(const eng_layer *l, const void *packed, const eng_samples *samples, uint8_t *scratch)
{
    const eng_x86_products *const p = packed;
    (void)l;
    if (p->narrow != 0 && samples->count == 1) {
        eng_avx2_narrow(p, samples->x, samples->y, scratch);
        return;
    }
    run_dense(packed, samples, scratch);
}
