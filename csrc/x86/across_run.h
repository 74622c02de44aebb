/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over the packed form of across.h, for AVX-512 with VBMI; vectors as twin.h says. */
#ifndef ENG_X86_ACROSS_RUN_H
#define ENG_X86_ACROSS_RUN_H

#include "across.h"
#include "twin.h"

#define VBMI        __attribute__((target("avx512vbmi")))
#define VBMI_INLINE VBMI ENG_INLINE
#define EIGHT       8 /* outputs that are summed together */
#define STRIPS      2 /* that share loads of weights */

/* What is constant where loops are for one kernel. */
typedef struct {
    bool fixed;
    uint32_t rows, full, shared;
} across_kernel;

/* Where a strip's kernel rows begin in x, padding to the left included, and its codes in y. */
typedef struct {
    const int8_t *row[ENG_X86_ACROSS_ROWS];
    const eng_x86_inside *inside;
    int8_t *y;
    uint32_t count; /* positions */
} strip_place;

/* Codes of a row that a strip's positions read. */
typedef struct {
    eng_vec low, high;
} strip_row;

ENG_INLINE strip_row load_row(const strip_place *s, uint32_t r, eng_vec padding)
{
    const __m512i sign = _mm512_set1_epi8(INT8_MIN);
    const strip_row codes = {_mm512_xor_si512(_mm512_mask_loadu_epi8(padding, s->inside->low, s->row[r]), sign),
                             _mm512_xor_si512(_mm512_mask_loadu_epi8(padding, s->inside->high, s->row[r] + 64), sign)};
    return codes;
}

/* A step of all strips. */
ENG_INLINE void sum_step_across(const eng_vec *codes, const uint8_t *w, eng_vec *acc)
{
#pragma GCC unroll 8
    for (uint32_t n = 0; n < EIGHT; ++n) {
        const eng_vec all = vec_step(w + n * sizeof(int32_t));
#pragma GCC unroll 3
        for (uint32_t s = 0; s < STRIPS; ++s) {
            acc[s * EIGHT + n] = vec_dot(acc[s * EIGHT + n], codes[s], all);
        }
    }
}

/* acc[strip][output] of eight outputs. */
VBMI_INLINE void sum_eight(const eng_x86_across *p, across_kernel k, const strip_place *places, const int32_t *lane,
                           const uint8_t *w, eng_vec *acc)
{
    const uint8_t *const order = (const uint8_t *)p + p->order;
    const void *const masks = (const uint8_t *)p + p->kept;
    const uint64_t *const kept = masks;
    const eng_vec padding = vec_load((const uint8_t *)p + p->padding);
    const uint32_t rows = k.fixed ? k.rows : p->kernel_rows, full = k.fixed ? k.full : p->full;
    const uint32_t shared = k.fixed ? k.shared : p->shared;
    eng_vec rest[STRIPS];
#pragma GCC unroll 8
    for (uint32_t n = 0; n < EIGHT; ++n) {
        acc[n] = vec_load(lane + (size_t)n * ENG_X86_LANE * ENG_LANES);
#pragma GCC unroll 3
        for (uint32_t s = 1; s < STRIPS; ++s) {
            acc[s * EIGHT + n] = acc[n];
        }
    }
#pragma GCC unroll 3
    for (uint32_t s = 0; s < STRIPS; ++s) {
        rest[s] = vec_zero();
    }
#pragma GCC unroll 3
    for (uint32_t r = 0, j = 0; r < rows; ++r) {
        strip_row x[STRIPS];
        eng_vec codes[STRIPS];
#pragma GCC unroll 3
        for (uint32_t s = 0; s < STRIPS; ++s) {
            x[s] = load_row(places + s, r, padding);
        }
#pragma GCC unroll 2
        for (uint32_t i = 0; i < full; ++i) {
#pragma GCC unroll 3
            for (uint32_t s = 0; s < STRIPS; ++s) {
                codes[s] = _mm512_permutex2var_epi8(x[s].low, vec_load(order + i * VECTOR), x[s].high);
            }
            sum_step_across(codes, w, acc);
            w += EIGHT * sizeof(int32_t);
        }
        if (shared == 0) {
            continue;
        }
        const eng_vec at = vec_load(order + (full + j) * VECTOR);
#pragma GCC unroll 3
        for (uint32_t s = 0; s < STRIPS; ++s) {
            const eng_vec some = _mm512_maskz_permutex2var_epi8(kept[j], x[s].low, at, x[s].high);
            rest[s] = j == 0 ? some : _mm512_or_si512(rest[s], some);
        }
        if (++j == shared || r + 1 == rows) {
            sum_step_across(rest, w, acc);
            w += EIGHT * sizeof(int32_t);
            j = 0;
        }
    }
}

/* Eight outputs of sixteen positions, turned: lane i of a quarter has 8 codes in half i % 2 of that quarter of to[i / 2]. */
ENG_INLINE void vec_eight_codes(const eng_vec *v, eng_vec *to)
{
    const __m512i order = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    const __m512i a = _mm512_packs_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
    const __m512i b = _mm512_packs_epi16(_mm512_packs_epi32(v[4], v[5]), _mm512_packs_epi32(v[6], v[7]));
    const __m512i a_turned = _mm512_shuffle_epi8(a, order), b_turned = _mm512_shuffle_epi8(b, order);
    to[0] = _mm512_unpacklo_epi32(a_turned, b_turned);
    to[1] = _mm512_unpackhi_epi32(a_turned, b_turned);
}

/* Eight outputs from output n on, [strip][half of the positions]. */
VBMI_INLINE void codes_of_eight(const eng_x86_across *p, across_kernel k, const strip_place *places, uint32_t n,
                                eng_x86_rounding loops, eng_vec *codes)
{
    const void *const lanes = (const uint8_t *)p + p->lane;
    const int32_t *const lane = (const int32_t *)lanes + (size_t)n * ENG_X86_LANE * ENG_LANES;
    eng_vec acc[STRIPS * EIGHT];
    sum_eight(p, k, places, lane, (const uint8_t *)p + p->w + (size_t)n * p->steps * sizeof(int32_t), acc);
#pragma GCC unroll 8
    for (uint32_t i = 0; i < EIGHT; ++i) {
        const int32_t *const at = lane + (size_t)i * ENG_X86_LANE * ENG_LANES;
        const eng_quick constants = quick_constants(at, loops);
#pragma GCC unroll 3
        for (uint32_t s = 0; s < STRIPS; ++s) {
            acc[s * EIGHT + i] = rounded(acc[s * EIGHT + i], &constants, at, loops, p->rounding, &p->y);
        }
    }
#pragma GCC unroll 3
    for (uint32_t s = 0; s < STRIPS; ++s) {
        vec_eight_codes(acc + s * EIGHT, codes + 2 * s);
    }
}

/* Positions in a row, `out` codes each, in `vectors` vectors. */
ENG_INLINE void store_dense(const eng_vec *v, uint32_t vectors, uint32_t out, const strip_place *place)
{
    const size_t bytes = (size_t)place->count * out;
#pragma GCC unroll 4
    for (uint32_t i = 0; i < vectors; ++i) {
        if (bytes > i * VECTOR) {
            vec_store_some(v[i], bytes - i * VECTOR, place->y + i * VECTOR);
        }
    }
}

/* Positions of sixteen codes each, `out` codes apart. */
ENG_INLINE void store_scattered(const eng_vec *v, uint32_t out, const strip_place *place, int8_t *y)
{
    int8_t codes[ENG_LANES][ENG_LANES];
#pragma GCC unroll 4
    for (uint32_t i = 0; i < 4; ++i) {
        _mm512_storeu_si512(codes[4 * i], v[i]);
    }
    for (uint32_t i = 0; i < place->count; ++i) {
        _mm_storeu_si128((void *)(y + (size_t)i * out), _mm_loadu_si128((const void *)codes[i]));
    }
}

VBMI_INLINE void run_eight(const eng_x86_across *p, across_kernel k, const strip_place *places, const eng_limits *limits,
                           eng_x86_rounding loops)
{
    eng_vec codes[2 * STRIPS];
    codes_of_eight(p, k, places, 0, loops, codes);
#pragma GCC unroll 3
    for (uint32_t s = 0; s < STRIPS; ++s) {
        const eng_vec v[2] = {clamped(codes[2 * s], limits), clamped(codes[2 * s + 1], limits)};
        store_dense(v, 2, EIGHT, places + s);
    }
}

VBMI_INLINE void run_sixteens(const eng_x86_across *p, across_kernel k, const strip_place *places, const eng_limits *limits,
                              eng_x86_rounding loops)
{
    for (uint32_t n = 0; n < p->out; n += 2 * EIGHT) {
        eng_vec first[2 * STRIPS], second[2 * STRIPS];
        codes_of_eight(p, k, places, n, loops, first);
        codes_of_eight(p, k, places, n + EIGHT, loops, second);
#pragma GCC unroll 3
        for (uint32_t s = 0; s < STRIPS; ++s) {
            eng_vec v[4];
#pragma GCC unroll 4
            for (uint32_t i = 0; i < 4; ++i) {
                const eng_vec a = first[2 * s + i / 2], b = second[2 * s + i / 2];
                v[i] = clamped(i % 2 == 0 ? _mm512_unpacklo_epi64(a, b) : _mm512_unpackhi_epi64(a, b), limits);
            }
            if (p->out == 2 * EIGHT) {
                store_dense(v, 4, 2 * EIGHT, places + s);
            } else {
                store_scattered(v, p->out, places + s, places[s].y + n);
            }
        }
    }
}

/* The next strip, and which it is of its row. */
typedef struct {
    const uint32_t *row;
    uint32_t column;
    int8_t *y;
} strip_cursor;

ENG_INLINE void next_strip(const eng_x86_across *p, across_kernel k, const int8_t *x, strip_cursor *next, strip_place *s)
{
    const void *const padding = (const uint8_t *)p + p->padding, *const insides = (const uint8_t *)p + p->inside;
    const uint32_t rows = k.fixed ? k.rows : p->kernel_rows;
    const bool last = next->column + 1 == p->strips;
    const int8_t *const from = x + next->column * p->strip - p->left;
    s->inside = (const eng_x86_inside *)insides + next->column;
    s->y = next->y;
    s->count = last ? p->last : ENG_LANES;
#pragma GCC unroll 3
    for (uint32_t i = 0; i < rows; ++i) {
        s->row[i] = next->row[i] == ENG_X86_OUTSIDE ? padding : from + next->row[i];
    }
    next->y += s->count * p->out;
    next->row += last ? rows : 0;
    next->column = last ? 0 : next->column + 1;
}

VBMI_INLINE void run_strips(const eng_x86_across *p, across_kernel k, bool eight, const int8_t *x, int8_t *y,
                            eng_x86_rounding loops)
{
    const void *const rows = (const uint8_t *)p + p->row;
    const eng_limits limits = vec_limits(&p->clamp, ENG_LANES, eng_x86_saturates(&p->clamp));
    strip_place places[STRIPS];
    strip_cursor next = {rows, 0, y};
    for (uint32_t left = p->rows * p->strips; left > 0; left -= left < STRIPS ? left : STRIPS) {
#pragma GCC unroll 3
        for (uint32_t s = 0; s < STRIPS; ++s) { /* the very last one more than once if need be */
            strip_cursor after = next;
            next_strip(p, k, x, &after, places + s);
            next = s + 1 < left ? after : next;
        }
        if (eight) {
            run_eight(p, k, places, &limits, loops);
        } else {
            run_sixteens(p, k, places, &limits, loops);
        }
    }
}

/* Functions of their own for all forms: in one with all loops gcc 12 would not keep sums in registers. */
#define STRIPS_OF(name, kernel, eight, form)                                                                                   \
    VBMI static __attribute__((noinline)) void name(const eng_x86_across *p, const int8_t *x, int8_t *y)                       \
    {                                                                                                                          \
        run_strips(p, kernel, eight, x, y, form);                                                                              \
    }

#define ALL_STRIPS(name, kernel, eight)                                                                                        \
    STRIPS_OF(name##_brief, kernel, eight, ENG_X86_BRIEF)                                                                      \
    STRIPS_OF(name##_signed, kernel, eight, ENG_X86_BRIEF_SIGNED)                                                              \
    STRIPS_OF(name##_any, kernel, eight, ENG_X86_DOUBLE)                                                                       \
    static void name(const eng_x86_across *p, const int8_t *x, int8_t *y)                                                      \
    {                                                                                                                          \
        if (p->rounding == ENG_X86_BRIEF) {                                                                                    \
            name##_brief(p, x, y);                                                                                             \
        } else if (p->rounding == ENG_X86_BRIEF_SIGNED) {                                                                      \
            name##_signed(p, x, y);                                                                                            \
        } else {                                                                                                               \
            name##_any(p, x, y);                                                                                               \
        }                                                                                                                      \
    }

/* Kernels of 3 x 3 of three channels, and any other. */
#define THREE ((across_kernel){true, 3, 2, 3})
#define ANY   ((across_kernel){false, 0, 0, 0})
ALL_STRIPS(run_three_eight, THREE, true)
ALL_STRIPS(run_three_sixteens, THREE, false)
ALL_STRIPS(run_any_eight, ANY, true)
ALL_STRIPS(run_any_sixteens, ANY, false)
#undef THREE
#undef ANY
#undef ALL_STRIPS
#undef STRIPS_OF

static void run_across(const eng_x86_across *p, const int8_t *x, int8_t *y)
{
    if (p->kernel_rows == 3 && p->full == 2 && p->rest == 1) {
        p->out == EIGHT ? run_three_eight(p, x, y) : run_three_sixteens(p, x, y);
    } else {
        p->out == EIGHT ? run_any_eight(p, x, y) : run_any_sixteens(p, x, y);
    }
}

#endif
