/* SPDX-License-Identifier: Apache-2.0 */
/* Twins for AVX2. */
#include <immintrin.h>
#include <stdint.h>

#define ENG_LANES 8

typedef __m256i wide;

static inline wide wide_all(int32_t v)
{
    return _mm256_set1_epi32(v);
}

static inline wide wide_add(wide a, wide b)
{
    return _mm256_add_epi32(a, b);
}

static inline wide wide_sub(wide a, wide b)
{
    return _mm256_sub_epi32(a, b);
}

static inline wide wide_mul(wide a, wide b)
{
    return _mm256_mullo_epi32(a, b);
}

static inline wide wide_shift(wide v, __m128i n)
{
    return _mm256_sra_epi32(v, n);
}

static inline wide wide_codes(const int8_t *x)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)x));
}

static inline wide wide_bytes(int8_t v)
{
    return _mm256_set1_epi8(v);
}

static inline wide wide_and(wide a, wide b)
{
    return _mm256_and_si256(a, b);
}

static inline wide wide_less(wide a, wide b)
{
    return _mm256_min_epu32(a, b);
}

static inline wide wide_floats(float f)
{
    return _mm256_castps_si256(_mm256_set1_ps(f));
}

static inline wide wide_choose(wide v, wide a, wide b)
{
    const __m256 chosen = _mm256_blendv_ps(_mm256_castsi256_ps(b), _mm256_castsi256_ps(a), _mm256_castsi256_ps(v));
    return _mm256_castps_si256(chosen);
}

/* In the mode that floor_mode sets. */
static inline wide wide_floor(wide v, wide scale, wide offset)
{
    const __m256 f = _mm256_cvtepi32_ps(v);
    return _mm256_cvtps_epi32(_mm256_fmadd_ps(f, _mm256_castsi256_ps(scale), _mm256_castsi256_ps(offset)));
}

static inline uint32_t floor_mode(void)
{
    const uint32_t mode = _mm_getcsr();
    _mm_setcsr(_MM_MASK_MASK | _MM_ROUND_DOWN);
    return mode;
}

static inline void restore_mode(uint32_t mode)
{
    _mm_setcsr(mode);
}

static inline uint32_t wide_zero(wide v)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(v, _mm256_setzero_si256())));
}

static inline void wide_narrow(const wide *v, wide lo, wide hi, int8_t *y)
{
    const __m256i codes = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
    const __m256i clamped = _mm256_min_epi8(_mm256_max_epi8(codes, lo), hi);
    _mm256_storeu_si256((void *)y, _mm256_permutevar8x32_epi32(clamped, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
}

#include "elementwise_run.h"

/* Rows of sixteen codes that one half of the bytes may look up. */
#define ROWS 8

/* Bytes `first` to `first` + 127. A byte before a row selects zero in it, as its top bit is set after the subtraction, which
 * saturates; one behind a row selects a code of this row too, and the rows' exclusive-or with their neighbours undo it. */
static inline __m256i half_looked_up(const uint8_t *steps, __m256i x)
{
    const __m256i row = _mm256_set1_epi8(16);
    __m256i y = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (uint32_t r = 0; r < ROWS; ++r) {
        const __m128i codes = _mm_load_si128((const void *)(steps + (size_t)16 * r));
        y = _mm256_xor_si256(y, _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(codes), x));
        x = _mm256_subs_epi8(x, row);
    }
    return y;
}

void eng_avx2_table(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_table *const table = packed;
    const uint8_t *const x = arena + l->x;
    uint8_t *const y = arena + l->y;
    const uint32_t n = eng_layer_x_size(l);
    const __m256i top = _mm256_set1_epi8(INT8_MIN);
    uint32_t i = 0;
    (void)scratch;
    for (; i + 32 <= n; i += 32) {
        const __m256i codes = _mm256_loadu_si256((const void *)(x + i));
        const __m256i low = half_looked_up(table->steps, codes);
        const __m256i high = half_looked_up(table->steps + ENG_X86_CODES / 2, _mm256_xor_si256(codes, top));
        _mm256_storeu_si256((void *)(y + i), _mm256_xor_si256(low, high));
    }
    for (; i < n; ++i) {
        y[i] = table->plain[x[i]];
    }
}

const eng_prepared_run eng_avx2_elementwise[ENG_OP_COUNT] = ENG_ELEMENTWISE;
const eng_edges eng_avx2_edges = {quantize_s8, dequantize_s8};
