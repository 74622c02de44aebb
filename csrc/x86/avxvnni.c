/* SPDX-License-Identifier: Apache-2.0 */
/* Twins for AVX-VNNI, which has no masks and sixteen registers: eight outputs times four codes an instruction. The first factor
 * is unsigned, so that the image holds codes + 128. What multiplies nothing is AVX2's. */
#include "depthwise.h"
#include "products.h"
#include "winograd.h"

#define ENG_RAW        1
#define ENG_THIRDS     0
#define ENG_SHORT_ROWS 0

/* Positions that share a pass over 1 to 4 blocks: sums, weights and one step of x nearly fit 16 registers. What runs fastest,
 * measured on a ResNet of 16 to 64 channels: six of two blocks took 12 percent longer, two of four 6. */
#define ENG_POINTS_1 8
#define ENG_POINTS_2 4
#define ENG_POINTS_3 4
#define ENG_POINTS_4 3
#define ENG_PAIRS_2  6
#define ENG_PAIRS_4  2

typedef uint8_t code_t;

#include "eight_lanes_run.h"

/* Steps of codes as they are; the copy has the same bits with the sign turned, and multiplications leave room for that. */
ENG_INLINE eng_vec vec_raw_step(const uint8_t *p)
{
    return _mm256_xor_si256(vec_step(p), _mm256_set1_epi8(INT8_MIN));
}

ENG_INLINE eng_vec vec_raw_two_steps(const uint8_t *p)
{
    return _mm256_xor_si256(vec_two_steps(p), _mm256_set1_epi8(INT8_MIN));
}

/* Without the barrier gcc 12 copies the accumulator. */
ENG_INLINE eng_vec vec_dot(eng_vec acc, eng_vec x, eng_vec w)
{
    acc = _mm256_dpbusd_avx_epi32(acc, x, w);
    __asm__("" : "+x"(acc));
    return acc;
}

ENG_INLINE void copy_codes(const int8_t *x, size_t n, code_t *image)
{
    const __m256i sign = _mm256_set1_epi8(INT8_MIN);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m256i codes = _mm256_loadu_si256((const void *)(x + i));
        _mm256_storeu_si256((void *)(image + i), _mm256_xor_si256(codes, sign));
    }
    for (; i < n; ++i) {
        image[i] = (code_t)(x[i] + 128);
    }
}

ENG_INLINE void fill_codes(code_t *image, size_t n, int16_t code)
{
    __builtin_memset(image, code, n);
}

ENG_INLINE void fill_steps(size_t n, int16_t code, uint8_t *mixed)
{
    for (size_t i = 0; i < n; i += ENG_LANES) {
        _mm256_storeu_si256((void *)(mixed + i * sizeof(int32_t)), _mm256_set1_epi8((char)code));
    }
}

/* 32 codes with the sign turned, by fours: 0, 8, 16, 24, then 4, 12, 20, 28. */
ENG_INLINE __m256i load_strip(const int8_t *x)
{
    const __m256i codes = _mm256_xor_si256(_mm256_loadu_si256((const void *)x), _mm256_set1_epi8(INT8_MIN));
    return _mm256_permutevar8x32_epi32(codes, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
}

ENG_INLINE void mix_strips(const int8_t *const *rows, size_t i, uint8_t *mixed)
{
    const __m256i a = load_strip(rows[0] + i), b = load_strip(rows[1] + i), c = load_strip(rows[2] + i),
                  d = load_strip(rows[3] + i);
    const __m256i ab = _mm256_unpacklo_epi8(a, b), cd = _mm256_unpacklo_epi8(c, d);
    const __m256i ab_high = _mm256_unpackhi_epi8(a, b), cd_high = _mm256_unpackhi_epi8(c, d);
    __m256i *const to = (void *)(mixed + i * sizeof(int32_t));
    _mm256_storeu_si256(to, _mm256_unpacklo_epi16(ab, cd));
    _mm256_storeu_si256(to + 1, _mm256_unpackhi_epi16(ab, cd));
    _mm256_storeu_si256(to + 2, _mm256_unpacklo_epi16(ab_high, cd_high));
    _mm256_storeu_si256(to + 3, _mm256_unpackhi_epi16(ab_high, cd_high));
}

ENG_INLINE void mix_rows(const int8_t *const *rows, size_t n, uint8_t *mixed)
{
    enum { STRIP_CODES = 4 * ENG_LANES };
    size_t i = 0;
    for (; i + STRIP_CODES <= n; i += STRIP_CODES) {
        mix_strips(rows, i, mixed);
    }
    if (i < n) {
        int8_t rest[4][STRIP_CODES] = {{0}};
        for (uint32_t r = 0; r < 4; ++r) {
            __builtin_memcpy(rest[r], rows[r] + i, n - i);
        }
        const int8_t *const ends[4] = {rest[0], rest[1], rest[2], rest[3]};
        mix_strips(ends, 0, mixed + i * sizeof(int32_t));
    }
}

/* See winograd_run.h. */
#define ENG_ROWS     3
#define ENG_SHUFFLED 2

ENG_INLINE eng_vec vec_dot_pairs(eng_vec acc, eng_vec w, eng_vec x)
{
    acc = _mm256_dpwssd_avx_epi32(acc, x, w);
    __asm__("" : "+x"(acc)); /* as in vec_dot */
    return acc;
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

void eng_avxvnni_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_products(l, packed, arena, scratch);
}

void eng_avxvnni_winograd(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_winograd(l, packed, arena, scratch);
}

void eng_avxvnni_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_depthwise(l, packed, arena, scratch);
}

void eng_avxvnni_dense(const eng_layer *l, const void *packed, const eng_samples *samples, uint8_t *scratch)
{
    (void)l;
    run_dense(packed, samples, scratch);
}
