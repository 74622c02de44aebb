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

static inline uint32_t wide_none(wide v, wide mask)
{
    return _mm512_testn_epi32_mask(v, mask);
}

static inline __m128i wide_narrow(wide v)
{
    return _mm512_cvtsepi32_epi8(v);
}

#include "elementwise_run.h"

/* A permutation of two registers looks up 128 codes by the lower seven bits; the eighth chooses between two of them. */
__attribute__((target("avx512vbmi"))) void eng_avx512vbmi_table(const eng_layer *l, const void *packed, uint8_t *arena,
                                                                uint8_t *scratch)
{
    const uint8_t *const codes = ((const eng_x86_table *)packed)->plain;
    const __m512i a = _mm512_load_si512(codes), b = _mm512_load_si512(codes + 64);
    const __m512i c = _mm512_load_si512(codes + 128), d = _mm512_load_si512(codes + 192);
    const uint8_t *const x = arena + l->x;
    uint8_t *const y = arena + l->y;
    const uint32_t n = eng_layer_x_size(l);
    (void)scratch;
    for (uint32_t i = 0; i < n; i += 64) {
        const __mmask64 inside = n - i < 64 ? (UINT64_C(1) << (n - i)) - 1 : UINT64_MAX;
        const __m512i at = _mm512_maskz_loadu_epi8(inside, x + i);
        const __m512i low = _mm512_permutex2var_epi8(a, at, b), high = _mm512_permutex2var_epi8(c, at, d);
        _mm512_mask_storeu_epi8(y + i, inside, _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(at), high));
    }
}

const eng_prepared_run eng_avx512vnni_elementwise[ENG_OP_COUNT] = ENG_ELEMENTWISE;
const eng_edges eng_avx512vnni_edges = {quantize_s8, dequantize_s8};
