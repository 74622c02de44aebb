/* SPDX-License-Identifier: Apache-2.0 */
/* Twins for AVX-512 with VNNI: sixteen outputs times four codes an instruction. The first factor is unsigned, so that the image
 * holds codes + 128. */
#include <immintrin.h>

#include "depthwise.h"
#include "products.h"
#include "winograd.h"

#define ENG_LANES  16
#define ENG_RAW    1
#define ENG_THIRDS 1

/* Positions that share a pass over 1 to 4 blocks: sums, weights and one step of x fit 32 registers. */
#define ENG_POINTS_1 16
#define ENG_POINTS_2 8
#define ENG_POINTS_3 6
#define ENG_POINTS_4 6
#define ENG_PAIRS_2  8
#define ENG_PAIRS_4  4

typedef __m512i eng_vec;
typedef uint8_t code_t;

#include "quick_run.h"

ENG_INLINE eng_vec vec_load(const void *p)
{
    return _mm512_load_si512(p);
}

ENG_INLINE eng_vec vec_load_any(const void *p)
{
    return _mm512_loadu_si512(p);
}

ENG_INLINE void vec_keep(eng_vec *p, eng_vec v)
{
    _mm512_store_si512(p, v);
}

ENG_INLINE eng_vec vec_zero(void)
{
    return _mm512_setzero_si512();
}

ENG_INLINE eng_vec vec_all(int32_t v)
{
    return _mm512_set1_epi32(v);
}

ENG_INLINE eng_vec vec_lowest(void)
{
    return _mm512_set1_epi32(INT32_MIN);
}

ENG_INLINE eng_vec vec_add(eng_vec a, eng_vec b)
{
    return _mm512_add_epi32(a, b);
}

ENG_INLINE eng_vec vec_max(eng_vec a, eng_vec b)
{
    return _mm512_max_epi32(a, b);
}

ENG_INLINE eng_vec vec_step(const uint8_t *p)
{
    int32_t step;
    __builtin_memcpy(&step, p, sizeof step);
    return _mm512_set1_epi32(step);
}

/* The eight bytes at p in every two lanes. */
ENG_INLINE eng_vec vec_two_steps(const uint8_t *p)
{
    int64_t steps;
    __builtin_memcpy(&steps, p, sizeof steps);
    return _mm512_set1_epi64(steps);
}

/* The same of codes as they are; the copy has the same bits with the sign turned, and multiplications leave room for that. */
ENG_INLINE eng_vec vec_raw_step(const uint8_t *p)
{
    return _mm512_xor_si512(vec_step(p), _mm512_set1_epi8(INT8_MIN));
}

ENG_INLINE eng_vec vec_raw_two_steps(const uint8_t *p)
{
    return _mm512_xor_si512(vec_two_steps(p), _mm512_set1_epi8(INT8_MIN));
}

/* Sums of two neighbouring lanes each, in the lower half. */
ENG_INLINE eng_vec vec_join(eng_vec v)
{
    const __m512i sums = _mm512_add_epi32(v, _mm512_srli_epi64(v, 32));
    return _mm512_castsi256_si512(_mm512_cvtepi64_epi32(sums));
}

/* Without the barrier gcc 12 copies the accumulator twice an instruction. */
ENG_INLINE eng_vec vec_dot(eng_vec acc, eng_vec x, eng_vec w)
{
    acc = _mm512_dpbusd_epi32(acc, x, w);
    __asm__("" : "+v"(acc));
    return acc;
}

/* Odd lanes of high, even lanes of low. */
ENG_INLINE eng_vec interleaved(__m512i low, __m512i high)
{
    return _mm512_mask_mov_epi32(low, 0xaaaa, high);
}

ENG_INLINE eng_vec vec_requant_double(eng_vec acc, const int32_t *lane)
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
ENG_INLINE eng_vec vec_requant_tame(eng_vec acc, const int32_t *lane)
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
ENG_INLINE __m512i rescaled(__m512i acc, __m512i mult, __m512i shift)
{
    const __m512i one = _mm512_set1_epi64(1);
    const __m512i negative = _mm512_srai_epi64(_mm512_slli_epi64(acc, 32), 63);
    const __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(shift, one));
    const __m512i product = _mm512_add_epi64(_mm512_mul_epi32(acc, mult), negative);
    return _mm512_srav_epi64(_mm512_add_epi64(product, half), shift);
}

ENG_INLINE eng_vec vec_requant_single(eng_vec acc, const int32_t *lane)
{
    const __m512i mult = vec_load(lane + ENG_LANES), shift = vec_load(lane + 2 * ENG_LANES);
    const __m512i even = rescaled(acc, mult, _mm512_and_si512(shift, _mm512_set1_epi64(UINT32_MAX)));
    const __m512i odd = rescaled(_mm512_srli_epi64(acc, 32), _mm512_srli_epi64(mult, 32), _mm512_srli_epi64(shift, 32));
    return interleaved(even, _mm512_slli_epi64(odd, 32));
}

/* Quick forms have their rounding in the instructions. */
static uint32_t rounding_mode(eng_x86_rounding form)
{
    (void)form;
    return 0;
}

static void restore_mode(eng_x86_rounding form, uint32_t mode)
{
    (void)form;
    (void)mode;
}

/* Rounding down everywhere, as lanes.h wants it; exceptions are suppressed, and the mode that the thread has set does not
 * matter.
 */
#define DOWN (_MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)

ENG_INLINE eng_vec vec_quick(eng_vec acc, const eng_quick *k, eng_x86_rounding form)
{
    __m512 offset = _mm512_castsi512_ps(k->offset);
    if (form != ENG_X86_BRIEF) {
        offset = _mm512_mask_mov_ps(offset, _mm512_cmplt_epi32_mask(acc, k->shift), _mm512_castsi512_ps(k->below));
    }
    const __m512 v = _mm512_cvt_roundepi32_ps(acc, DOWN);
    if (form == ENG_X86_QUICK) {
        offset = _mm512_fmadd_round_ps(v, _mm512_castsi512_ps(k->fine), offset, DOWN);
    }
    return _mm512_cvt_roundps_epi32(_mm512_fmadd_round_ps(v, _mm512_castsi512_ps(k->scale), offset, DOWN), DOWN);
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

/* Four lanes of dwords by four, transposed: from [lane][vector] to [vector][lane] and back. */
ENG_INLINE __m512i turned(__m512i v)
{
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v);
}

/* A clamp, whether it does more than saturation, and how many codes are written; plain: all of them, saturated only. */
typedef struct {
    eng_vec lo, hi;
    bool clamps, plain;
    uint32_t count;
    __mmask64 mask;
} eng_limits;

ENG_INLINE eng_limits vec_limits(const eng_x86_clamp *clamp, uint32_t count, bool saturates)
{
    const eng_limits limits = {.lo = vec_load(clamp->lo),
                               .hi = vec_load(clamp->hi),
                               .clamps = !saturates,
                               .plain = saturates && count == ENG_LANES,
                               .count = count,
                               .mask = UINT64_MAX >> (4 * ENG_LANES - count)};
    return limits;
}

ENG_INLINE __m512i clamped(__m512i codes, const eng_limits *limits)
{
    return limits->clamps ? _mm512_min_epi8(_mm512_max_epi8(codes, limits->lo), limits->hi) : codes;
}

ENG_INLINE void vec_store(eng_vec v, const eng_limits *limits, int8_t *y)
{
    const __m128i codes = _mm512_cvtsepi32_epi8(v);
    if (limits->plain) {
        _mm_storeu_si128((void *)y, codes);
        return;
    }
    const __m128i raised = _mm_max_epi8(codes, _mm512_castsi512_si128(limits->lo));
    _mm_mask_storeu_epi8(y, (__mmask16)limits->mask, _mm_min_epi8(raised, _mm512_castsi512_si128(limits->hi)));
}

/* Codes of four vectors, clamped. */
ENG_INLINE __m512i four_codes(const eng_vec *v, const eng_limits *limits)
{
    return clamped(turned(_mm512_packs_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]))), limits);
}

ENG_INLINE void vec_store_four(const eng_vec *v, const eng_limits *limits, int8_t *y)
{
    _mm512_mask_storeu_epi8(y, limits->mask, four_codes(v, limits));
}

ENG_INLINE void vec_store_full(const eng_vec *v, const eng_limits *limits, int8_t *y)
{
    _mm512_storeu_si512(y, four_codes(v, limits));
}

/* The first `left` bytes, all of them if there are more. */
ENG_INLINE void vec_store_some(eng_vec codes, size_t left, int8_t *y)
{
    if (left >= 4 * ENG_LANES) {
        _mm512_storeu_si512(y, codes);
    } else {
        _mm512_mask_storeu_epi8(y, (UINT64_C(1) << left) - 1, codes);
    }
}

ENG_INLINE void vec_store_apart(const eng_vec *v, uint32_t vectors, const eng_limits *limits, size_t step, int8_t *y)
{
    if (limits->plain) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < vectors; ++i) {
            _mm_storeu_si128((void *)(y + i * step), _mm512_cvtsepi32_epi8(v[i]));
        }
        return;
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < vectors; ++i) {
        vec_store(v[i], limits, y + i * step);
    }
}

ENG_INLINE void copy_codes(const int8_t *x, size_t n, code_t *image)
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

ENG_INLINE void fill_codes(code_t *image, size_t n, int16_t code)
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

/* Rows of the copy that are no longer than a vector are copied with their padding at once. */
#define ENG_SHORT_ROWS 64
typedef __mmask64 eng_inside;

ENG_INLINE eng_vec vec_padding(int16_t code)
{
    return _mm512_set1_epi8((char)code);
}

/* Codes from `left` on, n of them. */
ENG_INLINE eng_inside vec_inside(size_t left, size_t n)
{
    return UINT64_MAX >> (64 - n) << left;
}

/* A vector of padding, and of x where it is inside. */
ENG_INLINE void vec_copy_row(eng_vec padding, eng_inside inside, const int8_t *x, code_t *image)
{
    const __m512i codes = _mm512_xor_si512(_mm512_maskz_loadu_epi8(inside, x), _mm512_set1_epi8(INT8_MIN));
    _mm512_storeu_si512(image, _mm512_mask_mov_epi8(padding, inside, codes));
}

ENG_INLINE void fill_steps(size_t n, int16_t code, uint8_t *mixed)
{
    for (size_t i = 0; i < n; i += ENG_LANES) {
        _mm512_storeu_si512(mixed + i * sizeof(int32_t), _mm512_set1_epi8((char)code));
    }
}

ENG_INLINE void mix_rows(const int8_t *const *rows, size_t n, uint8_t *mixed)
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

/* Of minimal filtering, see winograd_run.h. Two loads a cycle are too few to spread all pairs, shuffles run beside them. */
#define ENG_ROWS     6
#define ENG_SHUFFLED 2

ENG_INLINE eng_vec vec_widen(const int8_t *x)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)x));
}

/* 16 channels of each of two tiles. */
ENG_INLINE eng_vec vec_chunks(const int16_t *const *at, size_t offset)
{
    const __m256i first = _mm256_loadu_si256((const void *)(at[0] + offset));
    return _mm512_inserti64x4(_mm512_castsi256_si512(first), _mm256_loadu_si256((const void *)(at[1] + offset)), 1);
}

ENG_INLINE eng_vec vec_pairs(const int16_t *p)
{
    return _mm512_broadcast_i32x4(_mm_load_si128((const void *)p));
}

ENG_INLINE eng_vec vec_dot_pairs(eng_vec acc, eng_vec w, eng_vec x)
{
    acc = _mm512_dpwssd_epi32(acc, x, w);
    __asm__("" : "+v"(acc)); /* as in vec_dot */
    return acc;
}

ENG_INLINE eng_vec vec_dot_pair(eng_vec acc, eng_vec w, eng_vec pairs, uint32_t i)
{
    switch (i) {
    case 0:
        return vec_dot_pairs(acc, w, _mm512_shuffle_epi32(pairs, 0x00));
    case 1:
        return vec_dot_pairs(acc, w, _mm512_shuffle_epi32(pairs, 0x55));
    case 2:
        return vec_dot_pairs(acc, w, _mm512_shuffle_epi32(pairs, 0xaa));
    default:
        return vec_dot_pairs(acc, w, _mm512_shuffle_epi32(pairs, 0xff));
    }
}

/* As one instruction: of a load on its own gcc 12 makes so many early ones that accumulators go to memory. */
ENG_INLINE eng_vec vec_dot_at(eng_vec acc, eng_vec w, const int16_t *p)
{
    typedef int32_t pair __attribute__((may_alias));
    __asm__("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const pair *)(const void *)p));
    return acc;
}

#include "across_run.h"
#include "depthwise_run.h"
#include "planes_run.h"
#include "products_run.h"
#include "quads_run.h"
#include "winograd_run.h"

void eng_avx512vnni_quick(const int32_t *lane, const int32_t *acc, int32_t *codes)
{
    const eng_quick k = quick_constants(lane, ENG_X86_QUICK);
    _mm512_storeu_si512(codes, vec_quick(vec_load_any(acc), &k, ENG_X86_QUICK));
}

void eng_avx512vnni_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_products(l, packed, arena, scratch);
}

void eng_avx512vnni_winograd(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_winograd(l, packed, arena, scratch);
}

void eng_avx512vnni_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_depthwise(l, packed, arena, scratch);
}

void eng_avx512vnni_planes(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    run_planes(l, packed, arena, scratch);
}

void eng_avx512vnni_quads(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    void *const x = arena + l->x, *const y = arena + l->y;
    (void)scratch;
    run_quads(packed, x, y);
}

VBMI void eng_avx512vbmi_across(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    void *const x = arena + l->x, *const y = arena + l->y;
    (void)scratch;
    run_across(packed, x, y);
}

void eng_avx512vnni_dense(const eng_layer *l, const void *packed, const eng_samples *samples, uint8_t *scratch)
{
    (void)l;
    run_dense(packed, samples, scratch);
}
