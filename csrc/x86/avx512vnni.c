/* SPDX-License-Identifier: Apache-2.0 */
/* Twins for AVX-512 with VNNI: sixteen outputs times four codes an instruction. The first factor is unsigned, so that the image
 * holds codes + 128. */
#include <immintrin.h>

#include "products.h"

#define ENG_LANES 16

/* Positions that share a pass over 1 to 4 blocks: sums, weights and one step of x fit 32 registers. */
#define ENG_POINTS_1 8
#define ENG_POINTS_2 8
#define ENG_POINTS_3 8
#define ENG_POINTS_4 6

typedef __m512i eng_vec;
typedef uint8_t code_t;

static inline eng_vec vec_load(const void *p)
{
    return _mm512_load_si512(p);
}

static inline eng_vec vec_load_any(const void *p)
{
    return _mm512_loadu_si512(p);
}

static inline eng_vec vec_zero(void)
{
    return _mm512_setzero_si512();
}

static inline eng_vec vec_lowest(void)
{
    return _mm512_set1_epi32(INT32_MIN);
}

static inline eng_vec vec_add(eng_vec a, eng_vec b)
{
    return _mm512_add_epi32(a, b);
}

static inline eng_vec vec_max(eng_vec a, eng_vec b)
{
    return _mm512_max_epi32(a, b);
}

static inline eng_vec vec_step(const uint8_t *p)
{
    int32_t step;
    __builtin_memcpy(&step, p, sizeof step);
    return _mm512_set1_epi32(step);
}

/* Without the barrier gcc 12 copies the accumulator twice an instruction. */
static inline eng_vec vec_dot(eng_vec acc, eng_vec x, eng_vec w)
{
    acc = _mm512_dpbusd_epi32(acc, x, w);
    __asm__("" : "+v"(acc));
    return acc;
}

/* Odd lanes of high, even lanes of low. */
static inline eng_vec interleaved(__m512i low, __m512i high)
{
    return _mm512_mask_mov_epi32(low, 0xaaaa, high);
}

static inline eng_vec vec_requant_double(eng_vec acc, const int32_t *lane)
{
    const __m512i mult = vec_load(lane + ENG_LANES), right = vec_load(lane + 3 * ENG_LANES);
    const __m512i half = _mm512_set1_epi64(INT64_C(1) << 30), one = _mm512_set1_epi32(1);
    const __m512i a = _mm512_sllv_epi32(acc, vec_load(lane + 2 * ENG_LANES));
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(a, mult), half);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(mult, 32)), half);
    const __m512i high = interleaved(_mm512_srli_epi64(even, 31), _mm512_slli_epi64(odd, 1));
    /* Ties of negative numbers go down: one less before rounding half up. */
    const __m512i lower = _mm512_add_epi32(high, _mm512_srai_epi32(high, 31));
    const __m512i twice = _mm512_srav_epi32(lower, _mm512_sub_epi32(right, one));
    const __m512i rounded = _mm512_add_epi32(_mm512_srai_epi32(twice, 1), _mm512_and_si512(twice, one));
    return _mm512_mask_mov_epi32(rounded, _mm512_testn_epi32_mask(right, right), high);
}

/* Sums so small that twice a product fits 64 bits and a rounding addend 32: the upper half of a product is the rounded one. */
static inline eng_vec vec_requant_tame(eng_vec acc, const int32_t *lane)
{
    const __m512i mult = vec_load(lane + ENG_LANES), right = vec_load(lane + 3 * ENG_LANES);
    const __m512i half = vec_load(lane + 4 * ENG_LANES), one_half = _mm512_set1_epi64(INT64_C(1) << 31);
    const __m512i a = _mm512_sllv_epi32(acc, vec_load(lane + 2 * ENG_LANES));
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(a, mult), one_half);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(mult, 32)), one_half);
    const __m512i high = _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 32), 0xaaaa, odd);
    /* Ties of negative numbers go down, unless there is nothing to divide. */
    const __m512i raised = _mm512_add_epi32(high, half);
    const __mmask16 divides = _mm512_test_epi32_mask(right, right);
    return _mm512_srav_epi32(_mm512_mask_add_epi32(raised, divides, raised, _mm512_srai_epi32(high, 31)), right);
}

/* floor((product + 2^(s-1)) / 2^s) of 64 bits, one less before if negative; s = shift in [1, 62]. */
static inline __m512i rescaled(__m512i acc, __m512i mult, __m512i shift)
{
    const __m512i one = _mm512_set1_epi64(1);
    const __m512i negative = _mm512_srai_epi64(_mm512_slli_epi64(acc, 32), 63);
    const __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(shift, one));
    const __m512i product = _mm512_add_epi64(_mm512_mul_epi32(acc, mult), negative);
    return _mm512_srav_epi64(_mm512_add_epi64(product, half), shift);
}

static inline eng_vec vec_requant_single(eng_vec acc, const int32_t *lane)
{
    const __m512i mult = vec_load(lane + ENG_LANES), shift = vec_load(lane + 2 * ENG_LANES);
    const __m512i even = rescaled(acc, mult, _mm512_and_si512(shift, _mm512_set1_epi64(UINT32_MAX)));
    const __m512i odd = rescaled(_mm512_srli_epi64(acc, 32), _mm512_srli_epi64(mult, 32), _mm512_srli_epi64(shift, 32));
    return interleaved(even, _mm512_slli_epi64(odd, 32));
}

static inline void vec_store_codes(eng_vec v, const eng_output_s8 *output, uint32_t count, int8_t *y)
{
    const __m512i code = _mm512_add_epi32(v, _mm512_set1_epi32(output->zero));
    const __m512i clamped =
        _mm512_min_epi32(_mm512_max_epi32(code, _mm512_set1_epi32(output->lo)), _mm512_set1_epi32(output->hi));
    _mm_mask_storeu_epi8(y, (__mmask16)((UINT32_C(1) << count) - 1), _mm512_cvtepi32_epi8(clamped));
}

static void copy_codes(const int8_t *x, size_t n, code_t *image)
{
    const __m512i sign = _mm512_set1_epi8(INT8_MIN);
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        _mm512_storeu_si512(image + i, _mm512_xor_si512(_mm512_loadu_si512(x + i), sign));
    }
    const __mmask64 rest = (UINT64_C(1) << (n - i)) - 1;
    _mm512_mask_storeu_epi8(image + i, rest, _mm512_xor_si512(_mm512_maskz_loadu_epi8(rest, x + i), sign));
}

static void fill_codes(code_t *image, size_t n, int16_t code)
{
    __builtin_memset(image, code, n);
}

static void mix_rows(const code_t *const *rows, size_t n, uint8_t *mixed)
{
    for (size_t i = 0; i < n; i += 16) {
        const __m128i a = _mm_loadu_si128((const void *)(rows[0] + i)), b = _mm_loadu_si128((const void *)(rows[1] + i));
        const __m128i c = _mm_loadu_si128((const void *)(rows[2] + i)), d = _mm_loadu_si128((const void *)(rows[3] + i));
        const __m128i ab = _mm_unpacklo_epi8(a, b), cd = _mm_unpacklo_epi8(c, d);
        const __m128i ab_high = _mm_unpackhi_epi8(a, b), cd_high = _mm_unpackhi_epi8(c, d);
        __m128i *const to = (void *)(mixed + i * ENG_X86_STEP);
        _mm_store_si128(to, _mm_unpacklo_epi16(ab, cd));
        _mm_store_si128(to + 1, _mm_unpackhi_epi16(ab, cd));
        _mm_store_si128(to + 2, _mm_unpacklo_epi16(ab_high, cd_high));
        _mm_store_si128(to + 3, _mm_unpackhi_epi16(ab_high, cd_high));
    }
}

#include "products_run.h"

void eng_avx512vnni_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_products(l, packed, arena, scratch);
}

void eng_avx512vnni_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_depthwise(l, packed, arena, scratch);
}
