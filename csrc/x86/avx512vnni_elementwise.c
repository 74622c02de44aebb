/* SPDX-License-Identifier: Apache-2.0 */
/* Twins for AVX-512 with VNNI, and look-up for those of its processors that have VBMI as well. */
#include <immintrin.h>
#include <stdint.h>

#define ENG_LANES 16

typedef __m512i wide;

static inline wide wide_all(int32_t v)
{
    return _mm512_set1_epi32(v);
}

static inline wide wide_add(wide a, wide b)
{
    return _mm512_add_epi32(a, b);
}

static inline wide wide_sub(wide a, wide b)
{
    return _mm512_sub_epi32(a, b);
}

static inline wide wide_mul(wide a, wide b)
{
    return _mm512_mullo_epi32(a, b);
}

static inline wide wide_shift(wide v, __m128i n)
{
    return _mm512_sra_epi32(v, n);
}

static inline wide wide_codes(const int8_t *x)
{
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)x));
}

static inline wide wide_bytes(int8_t v)
{
    return _mm512_set1_epi8(v);
}

static inline wide wide_and(wide a, wide b)
{
    return _mm512_and_si512(a, b);
}

static inline wide wide_less(wide a, wide b)
{
    return _mm512_min_epu32(a, b);
}

static inline wide wide_floats(float f)
{
    return _mm512_castps_si512(_mm512_set1_ps(f));
}

static inline wide wide_choose(wide v, wide a, wide b)
{
    return _mm512_mask_mov_epi32(b, _mm512_movepi32_mask(v), a);
}

#define DOWN (_MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)

static inline wide wide_floor(wide v, wide scale, wide offset)
{
    const __m512 f = _mm512_cvt_roundepi32_ps(v, DOWN);
    const __m512 real = _mm512_fmadd_round_ps(f, _mm512_castsi512_ps(scale), _mm512_castsi512_ps(offset), DOWN);
    return _mm512_cvt_roundps_epi32(real, DOWN);
}

/* The instructions have it. */
static inline uint32_t floor_mode(void)
{
    return 0;
}

static inline void restore_mode(uint32_t mode)
{
    (void)mode;
}

static inline uint32_t wide_zero(wide v)
{
    return _mm512_testn_epi32_mask(v, v);
}

static inline void wide_narrow(const wide *v, wide lo, wide hi, int8_t *y)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i codes = _mm512_packs_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
    const __m512i clamped = _mm512_min_epi8(_mm512_max_epi8(codes, lo), hi);
    _mm512_storeu_si512(y, _mm512_permutexvar_epi32(order, clamped));
}

#include "elementwise_run.h"

#define VBMI __attribute__((target("avx512vbmi")))

/* A permutation of two registers looks up 128 codes by the lower seven bits; the eighth chooses between two of them. */
VBMI static inline __attribute__((always_inline)) __m512i looked_up(const __m512i *table, __m512i at)
{
    const __m512i low = _mm512_permutex2var_epi8(table[0], at, table[1]);
    return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(at), _mm512_permutex2var_epi8(table[2], at, table[3]));
}

VBMI void eng_avx512vbmi_table(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const uint8_t *const codes = ((const eng_x86_table *)packed)->plain;
    const __m512i table[4] = {_mm512_load_si512(codes), _mm512_load_si512(codes + 64), _mm512_load_si512(codes + 128),
                              _mm512_load_si512(codes + 192)};
    const uint8_t *const x = arena + l->x;
    uint8_t *const y = arena + l->y;
    const uint32_t n = eng_layer_x_size(l);
    uint32_t i = 0;
    (void)scratch;
    for (; i + 64 <= n; i += 64) {
        _mm512_storeu_si512(y + i, looked_up(table, _mm512_loadu_si512(x + i)));
    }
    if (i < n) {
        const __mmask64 inside = (UINT64_C(1) << (n - i)) - 1;
        _mm512_mask_storeu_epi8(y + i, inside, looked_up(table, _mm512_maskz_loadu_epi8(inside, x + i)));
    }
}

const eng_prepared_run eng_avx512vnni_elementwise[ENG_OP_COUNT] = ENG_ELEMENTWISE;
const eng_edges eng_avx512vnni_edges = {quantize_s8, dequantize_s8};
