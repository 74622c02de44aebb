/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over a packed form of depthwise convolutions; vectors as twin.h says. */
#ifndef ENG_X86_DEPTHWISE_RUN_H
#define ENG_X86_DEPTHWISE_RUN_H

#include "depthwise.h"
#include "twin.h"

#define MOST_SUMS  10
#define MOST_KNOWN 12 /* vectors of weights */

/* Passes over mixed rows that lie next to each other. */
typedef struct {
    const eng_x86_depthwise *p;
    uint32_t count;
    const uint8_t *mixed;
    const uint32_t *column;
    const uint8_t *w;
    const int32_t *lane;
    int8_t *y; /* of the first pass's first output row */
} passes;

/* What is constant where loops are for one size of kernel; its weights are in `known` then, for registers to hold. saturates:
 * the clamp does no more. */
typedef struct {
    bool fixed, saturates;
    uint32_t groups, columns, together;
} kernel;

/* All vectors of passes that have one place in the period. */
typedef struct {
    const eng_x86_depthwise *p;
    const uint32_t *column;
    const uint8_t *w;
    const int32_t *lane;
    size_t point, step, row; /* bytes of the mixed rows between vectors; codes between them and between output rows */
} strip;

/* acc[point][row] of `points` vectors that begin with the one at `at`. */
ENG_INLINE void sum_vectors(const strip *s, kernel k, const eng_vec *known, const uint8_t *at, uint32_t points, eng_vec *acc)
{
    const eng_x86_depthwise *const p = s->p;
    const uint32_t groups = k.fixed ? k.groups : p->groups, columns = k.fixed ? k.columns : p->columns;
#pragma GCC unroll 16
    for (uint32_t i = 0; i < points * k.together; ++i) {
        acc[i] = vec_load(s->lane);
    }
#pragma GCC unroll 2
    for (uint32_t g = 0; g < groups; ++g) {
#pragma GCC unroll 3
        for (uint32_t j = 0; j < columns; ++j) {
            const uint8_t *const x = at + g * p->group + s->column[j];
            const uint32_t set = g * columns + j;
#pragma GCC unroll 5
            for (uint32_t i = 0; i < points; ++i) {
                const eng_vec codes = vec_load_any(x + i * s->point);
#pragma GCC unroll 2
                for (uint32_t r = 0; r < k.together; ++r) {
                    const eng_vec w = k.fixed ? known[set * k.together + r] : vec_load(s->w + (set * p->together + r) * VECTOR);
                    acc[i * k.together + r] = vec_dot(acc[i * k.together + r], codes, w);
                }
            }
        }
    }
}

/* Codes of `points` vectors that begin with the one at y. */
ENG_INLINE void store_vectors(const strip *s, kernel k, uint32_t points, const eng_limits *limits, eng_vec *acc,
                              eng_x86_rounding loops, int8_t *y)
{
    const eng_quick constants = quick_constants(s->lane, loops);
#pragma GCC unroll 16
    for (uint32_t i = 0; i < points * k.together; ++i) {
        acc[i] = rounded(acc[i], &constants, s->lane, loops, s->p->rounding, &s->p->y);
    }
#pragma GCC unroll 2
    for (uint32_t r = 0; r < k.together; ++r) {
        int8_t *row = y + r * s->row;
        uint32_t i = 0;
        if (points >= 3) {
            const uint32_t last = points > 3 ? 3 : 2;
            const eng_vec four[4] = {acc[r], acc[k.together + r], acc[2 * k.together + r], acc[last * k.together + r]};
            i = last + 1;
            if (i == 4 && s->step == ENG_LANES) {
                vec_store_full(four, limits, row);
            } else {
                vec_store_apart(four, i, limits, s->step, row);
            }
        }
        for (; i < points; ++i) {
            vec_store(acc[i * k.together + r], limits, row + i * s->step);
        }
    }
}

/* Where a place's next vector begins in mixed rows and output row, and the codes from there on. */
typedef struct {
    const uint8_t *at;
    int8_t *y;
    size_t left;
} cursor;

ENG_INLINE void run_vectors(const strip *v, kernel k, const eng_vec *known, uint32_t points, const eng_limits *limits,
                            eng_x86_rounding loops, cursor *next)
{
    eng_vec acc[MOST_SUMS];
    const size_t codes = points * v->step;
    sum_vectors(v, k, known, next->at, points, acc);
    store_vectors(v, k, points, limits, acc, loops, next->y);
    next->at += points * v->point;
    next->y += codes;
    next->left -= next->left < codes ? next->left : codes;
}

/* A row's vectors, `whole` of them without the last one if that has fewer codes. Three to five share loads of weights, so that
 * few are left alone. */
ENG_INLINE void run_row(const strip *v, kernel k, const eng_vec *known, const eng_limits *limits, size_t whole,
                        eng_x86_rounding loops, cursor next)
{
    for (; whole == 4 || whole > 6; whole -= 4) {
        run_vectors(v, k, known, 4, limits, loops, &next);
    }
    if (whole == 5) {
        run_vectors(v, k, known, 5, limits, loops, &next);
    }
    for (; whole == 3 || whole == 6; whole -= 3) {
        run_vectors(v, k, known, 3, limits, loops, &next);
    }
    while (next.left > 0) {
        const eng_limits some = vec_limits(&v->p->clamp, next.left < ENG_LANES ? (uint32_t)next.left : ENG_LANES, k.saturates);
        run_vectors(v, k, known, 1, &some, loops, &next);
    }
}

/* The vectors with place `place` in the period. */
ENG_INLINE void run_place(const passes *s, kernel k, uint32_t place, eng_x86_rounding loops)
{
    const eng_x86_depthwise *const p = s->p;
    const uint32_t sets = k.fixed ? k.groups * k.columns : p->groups * p->columns;
    const size_t codes = (size_t)place * ENG_LANES, row = p->row_codes;
    const strip v = {.p = p,
                     .column = s->column,
                     .w = s->w + (size_t)place * sets * p->together * VECTOR,
                     .lane = s->lane + codes * ENG_X86_LANE,
                     .point = p->point,
                     .step = (size_t)p->period * ENG_LANES,
                     .row = row};
    const eng_limits limits = vec_limits(&p->clamp, ENG_LANES, k.saturates);
    const size_t left = codes < row ? row - codes : 0;
    const size_t whole = left < ENG_LANES ? 0 : (left - ENG_LANES) / v.step + 1;
    eng_vec known[MOST_KNOWN];
    if (k.fixed) {
#pragma GCC unroll 12
        for (uint32_t i = 0; i < sets * k.together; ++i) {
            known[i] = vec_load(v.w + (i / k.together * p->together + i % k.together) * VECTOR);
        }
    }
    for (uint32_t n = 0; n < s->count; ++n) {
        const cursor next = {s->mixed + n * p->pass + place * VECTOR, s->y + n * k.together * row + codes, left};
        run_row(&v, k, known, &limits, whole, loops, next);
    }
}

ENG_INLINE void run_places(const passes *s, kernel k, eng_x86_rounding loops)
{
    for (uint32_t place = 0; place < s->p->period; ++place) {
        run_place(s, k, place, loops);
    }
}

/* Kernels of 3 x 3 have loops of their own. */
ENG_INLINE void any_kernel(const passes *s, uint32_t together, bool saturates, eng_x86_rounding loops)
{
    enum { STEP = sizeof(int32_t) / sizeof(code_t), GROUPS = (3 + STEP - 1) / STEP };
    const kernel three_by_three = {true, saturates, GROUPS, 3, together}, any = {false, false, 0, 0, together};
    if (s->p->groups == GROUPS && s->p->columns == 3) {
        run_places(s, three_by_three, loops);
    } else {
        run_places(s, any, loops);
    }
}

ENG_INLINE void any_rows(const passes *s, uint32_t together, bool saturates, eng_x86_rounding loops)
{
    if (together == 2) {
        any_kernel(s, 2, saturates, loops);
    } else {
        any_kernel(s, 1, saturates, loops);
    }
}

static __attribute__((noinline)) void run_passes(const passes *s, uint32_t together)
{
    switch (s->p->rounding) {
    case ENG_X86_BRIEF:
        if (eng_x86_saturates(&s->p->clamp)) {
            any_rows(s, together, true, ENG_X86_BRIEF);
        } else {
            any_rows(s, together, false, ENG_X86_BRIEF);
        }
        break;
    case ENG_X86_BRIEF_SIGNED:
        any_rows(s, together, false, ENG_X86_BRIEF_SIGNED);
        break;
    default:
        any_rows(s, together, false, ENG_X86_DOUBLE);
        break;
    }
}

/* `count` pixels of n codes, `step` pixels apart. */
ENG_INLINE void copy_pixels(const int8_t *x, size_t step, size_t n, uint32_t count, int8_t *to)
{
    for (uint32_t i = 0; i < count; ++i) {
        __builtin_memcpy(to, x, n);
        x += step * n;
        to += n;
    }
}

static void copy_any_pixels(const int8_t *x, size_t step, size_t n, uint32_t count, int8_t *to)
{
    switch (n) {
    case 8:
        copy_pixels(x, step, 8, count, to);
        break;
    case 16:
        copy_pixels(x, step, 16, count, to);
        break;
    case 32:
        copy_pixels(x, step, 32, count, to);
        break;
    case 64:
        copy_pixels(x, step, 64, count, to);
        break;
    default:
        copy_pixels(x, step, n, count, to);
        break;
    }
}

/* A row of x, phase by phase with its padding. */
static void split_row(const eng_x86_depthwise *p, const int8_t *x, int8_t *row)
{
    for (uint32_t f = 0; f < p->phases; ++f) {
        const uint32_t columns = (uint32_t)(p->row / p->phases / p->pixel);
        const uint32_t before = p->left > f ? (p->left - f + p->phases - 1) / p->phases : 0;
        const uint32_t first = f + before * p->phases - p->left; /* column of x */
        const uint32_t most = columns - before, there = first < p->in_w ? (p->in_w - first + p->phases - 1) / p->phases : 0;
        const uint32_t count = there < most ? there : most;
        const size_t left = (size_t)before * p->pixel, codes = (size_t)count * p->pixel;
        __builtin_memset(row, p->zero_x, left);
        copy_any_pixels(x + (size_t)first * p->pixel, p->phases, p->pixel, count, row + left);
        __builtin_memset(row + left + codes, p->zero_x, (size_t)(columns - before - count) * p->pixel);
        row += (size_t)columns * p->pixel;
    }
}

/* Rows that a call reads: those of x or of its copy, `codes` of them each, and one of padding around them. */
typedef struct {
    const eng_x86_depthwise *p;
    const int8_t *first, *padding;
    size_t codes;
} row_source;

static row_source rows_of(const eng_x86_depthwise *p, const int8_t *x, int8_t *scratch)
{
    const size_t x_row = (size_t)p->in_w * p->pixel;
    row_source source = {p, x, scratch, p->phases == 1 ? x_row : p->row};
    __builtin_memset(scratch, p->zero_x, source.codes);
    if (p->phases > 1) {
        for (uint32_t r = 0; r < p->in_h; ++r) {
            split_row(p, x + r * x_row, scratch + p->copy + r * p->row);
        }
        source.first = scratch + p->copy;
    }
    return source;
}

/* Codes of padding that mixed rows begin with. */
static size_t left_of(const eng_x86_depthwise *p)
{
    return p->phases == 1 ? (size_t)p->left * p->pixel : 0;
}

/* The padding to the left of mixed rows, which mixing leaves alone; what it writes beyond is mixed later. */
static void pad_left(const eng_x86_depthwise *p, uint8_t *mixed)
{
    for (uint32_t g = 0; g < p->groups; ++g) {
        fill_steps(left_of(p), p->padding, mixed + g * p->group);
    }
}

/* The padding to their right, on which mixing writes what it rounds up. */
static void pad_right(const row_source *source, uint8_t *mixed)
{
    const eng_x86_depthwise *const p = source->p;
    const size_t before = left_of(p) + source->codes;
    for (uint32_t g = 0; g < p->groups; ++g) {
        fill_steps(p->row - before, p->padding, mixed + g * p->group + before * sizeof(int32_t));
    }
}

/* Mixes `rows` rows from row `first` of the padded image on; what lies beyond has zero weights, so that any row will do. */
static void mix_groups(const row_source *source, uint32_t first, uint32_t rows, uint8_t *mixed)
{
    enum { STEP = sizeof(int32_t) / sizeof(code_t) };
    const eng_x86_depthwise *const p = source->p;
    const size_t left = left_of(p);
    for (uint32_t g = 0; g < p->groups; ++g) {
        const int8_t *from[STEP];
        for (uint32_t e = 0; e < STEP; ++e) {
            const uint32_t row = first + (g * STEP + e < rows ? g * STEP + e : 0) * p->kernel_row;
            const bool inside = row >= p->top && row - p->top < p->in_h;
            from[e] = inside ? source->first + (row - p->top) * source->codes : source->padding;
        }
        mix_rows(from, source->codes, mixed + left * sizeof(int32_t));
        mixed += p->group;
    }
}

static void run_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_depthwise *const p = packed;
    const uint8_t *const base = packed;
    const void *const x = arena + l->x, *const lanes = base + p->lane, *const column = base + p->column;
    void *const rows = scratch, *const y = arena + l->y;
    uint8_t *const mixed = scratch + p->mixed;
    const row_source source = rows_of(p, x, rows);
    const bool rounds_up = source.codes % (4 * ENG_LANES) != 0;
    const uint32_t mode = rounding_mode(p->rounding);
    for (uint32_t n = 0; n < p->band; ++n) {
        pad_left(p, mixed + n * p->pass);
        pad_right(&source, mixed + n * p->pass);
    }
    for (uint32_t r = 0, count; r < p->rows; r += count) {
        const uint32_t left = (p->rows - r) / p->together, together = left == 0 ? 1 : p->together;
        const uint32_t taken = p->taken - (p->together - together) * p->row_step, most = left == 0 ? 1 : left;
        const passes s = {.p = p,
                          .count = most < p->band ? most : p->band,
                          .mixed = mixed,
                          .column = column,
                          .w = base + p->w,
                          .lane = lanes,
                          .y = (int8_t *)y + (size_t)r * p->row_codes};
        for (uint32_t n = 0; n < s.count; ++n) {
            mix_groups(&source, (r + n * together) * p->row_step, taken, mixed + n * p->pass);
            if (rounds_up) {
                pad_right(&source, mixed + n * p->pass);
            }
        }
        run_passes(&s, together);
        count = s.count * together;
    }
    restore_mode(p->rounding, mode);
}

#endif
