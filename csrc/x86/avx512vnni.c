/* SPDX-License-Identifier: Apache-2.0 */
/* Twins for AVX-512 with VNNI: sixteen outputs times four codes an instruction. The first factor is unsigned, so that the image
 * holds codes + 128. */
#include <immintrin.h>

#include "depthwise.h"
#include "products.h"

#define ENG_LANES  16
#define ENG_STRIPS 4

/* Positions that share a pass over 1 to 4 blocks: sums, weights and one step of x fit 32 registers. */
#define ENG_POINTS_1 8
#define ENG_POINTS_2 8
#define ENG_POINTS_3 8
#define ENG_POINTS_4 6

#define ENG_ROUNDINGS(DO) DO(ENG_X86_QUICK) DO(ENG_X86_SIGNED)

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

static inline eng_vec vec_all(int32_t v)
{
    return _mm512_set1_epi32(v);
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

/* Rounding down everywhere, as lanes.h wants it; exceptions are suppressed, and the mode that the thread has set does not
 * matter.
 */
#define DOWN (_MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)

static inline eng_vec quick(eng_vec acc, const int32_t *lane, bool is_signed)
{
    const __m512 scale = _mm512_castsi512_ps(vec_load(lane + ENG_LANES));
    const __m512 fine = _mm512_castsi512_ps(vec_load(lane + 2 * ENG_LANES));
    __m512 offset = _mm512_castsi512_ps(vec_load(lane + 3 * ENG_LANES));
    if (is_signed) {
        const __mmask16 negative = _mm512_cmplt_epi32_mask(acc, vec_load(lane + 4 * ENG_LANES));
        offset = _mm512_mask_mov_ps(offset, negative, _mm512_castsi512_ps(vec_load(lane + 5 * ENG_LANES)));
    }
    const __m512 v = _mm512_cvt_roundepi32_ps(acc, DOWN);
    const __m512 t = _mm512_fmadd_round_ps(v, fine, offset, DOWN);
    return _mm512_cvt_roundps_epi32(_mm512_fmadd_round_ps(v, scale, t, DOWN), DOWN);
}

static inline __attribute__((always_inline)) eng_vec vec_round(eng_vec acc, const int32_t *lane, eng_x86_rounding form)
{
    switch (form) {
    case ENG_X86_SINGLE:
        return vec_requant_single(acc, lane);
    case ENG_X86_TAME:
        return vec_requant_tame(acc, lane);
    case ENG_X86_QUICK:
        return quick(acc, lane, false);
    case ENG_X86_SIGNED:
        return quick(acc, lane, true);
    default:
        return vec_requant_double(acc, lane);
    }
}

static inline void vec_store(eng_vec v, const eng_x86_clamp *clamp, uint32_t count, int8_t *y)
{
    const __m128i codes = _mm_max_epi8(_mm512_cvtsepi32_epi8(v), _mm_loadu_si128((const void *)clamp->lo));
    _mm_mask_storeu_epi8(y, (__mmask16)(0xffff >> (ENG_LANES - count)),
                         _mm_min_epi8(codes, _mm_loadu_si128((const void *)clamp->hi)));
}

/* Four lanes of dwords by four, transposed: from [lane][vector] to [vector][lane] and back. */
static inline __m512i turned(__m512i v)
{
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v);
}

static inline void vec_store_four(const eng_vec *v, const eng_x86_clamp *clamp, uint32_t count, int8_t *y)
{
    const __m512i codes = _mm512_packs_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
    const __m512i raised = _mm512_max_epi8(turned(codes), vec_load_any(clamp->lo));
    const __m512i clamped = _mm512_min_epi8(raised, vec_load_any(clamp->hi));
    if (count == 4 * ENG_LANES) {
        _mm512_storeu_si512(y, clamped);
    } else {
        _mm512_mask_storeu_epi8(y, UINT64_MAX >> (4 * ENG_LANES - count), clamped);
    }
}

static inline void copy_codes(const int8_t *x, size_t n, code_t *image)
{
    const __m512i sign = _mm512_set1_epi8(INT8_MIN);
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        _mm512_storeu_si512(image + i, _mm512_xor_si512(_mm512_loadu_si512(x + i), sign));
    }
    if (i < n) {
        const __mmask64 rest = UINT64_MAX >> (64 - (n - i));
        _mm512_mask_storeu_epi8(image + i, rest, _mm512_xor_si512(_mm512_maskz_loadu_epi8(rest, x + i), sign));
    }
}

static inline void fill_codes(code_t *image, size_t n, int16_t code)
{
    const __m512i codes = _mm512_set1_epi8((char)code);
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        _mm512_storeu_si512(image + i, codes);
    }
    if (i < n) {
        _mm512_mask_storeu_epi8(image + i, UINT64_MAX >> (64 - (n - i)), codes);
    }
}

static inline void fill_steps(size_t n, int16_t code, uint8_t *mixed)
{
    for (size_t i = 0; i < n; i += ENG_LANES) {
        _mm512_storeu_si512(mixed + i * sizeof(int32_t), _mm512_set1_epi8((char)code));
    }
}

static inline void mix_rows(const int8_t *const *rows, size_t n, uint8_t *mixed)
{
    const __m512i sign = _mm512_set1_epi8(INT8_MIN);
    for (size_t i = 0; i < n; i += 64) {
        const __mmask64 some = n - i < 64 ? UINT64_MAX >> (64 - (n - i)) : UINT64_MAX;
        const __m512i a = turned(_mm512_xor_si512(_mm512_maskz_loadu_epi8(some, rows[0] + i), sign));
        const __m512i b = turned(_mm512_xor_si512(_mm512_maskz_loadu_epi8(some, rows[1] + i), sign));
        const __m512i c = turned(_mm512_xor_si512(_mm512_maskz_loadu_epi8(some, rows[2] + i), sign));
        const __m512i d = turned(_mm512_xor_si512(_mm512_maskz_loadu_epi8(some, rows[3] + i), sign));
        const __m512i ab = _mm512_unpacklo_epi8(a, b), cd = _mm512_unpacklo_epi8(c, d);
        const __m512i ab_high = _mm512_unpackhi_epi8(a, b), cd_high = _mm512_unpackhi_epi8(c, d);
        uint8_t *const to = mixed + i * sizeof(int32_t);
        _mm512_storeu_si512(to, _mm512_unpacklo_epi16(ab, cd));
        _mm512_storeu_si512(to + 64, _mm512_unpackhi_epi16(ab, cd));
        _mm512_storeu_si512(to + 128, _mm512_unpacklo_epi16(ab_high, cd_high));
        _mm512_storeu_si512(to + 192, _mm512_unpackhi_epi16(ab_high, cd_high));
    }
}

#include "depthwise_run.h"
#include "products_run.h"

void eng_avx512vnni_quick(eng_x86_rounding rounding, const int32_t *lane, const int32_t *acc, int32_t *codes)
{
    _mm512_storeu_si512(codes, quick(vec_load_any(acc), lane, rounding == ENG_X86_SIGNED));
}

void eng_avx512vnni_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_products(l, packed, arena, scratch);
}

void eng_avx512vnni_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_depthwise(l, packed, arena, scratch);
}

void eng_avx512vnni_dense(const eng_layer *l, const void *packed, uint8_t *arena, size_t stride, uint32_t samples,
                          uint8_t *scratch)
{
    run_dense(l, packed, arena, stride, samples, scratch);
}
