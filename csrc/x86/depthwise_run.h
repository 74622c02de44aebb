/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over a packed form of depthwise convolutions; vectors as twin.h says. */
#ifndef ENG_X86_DEPTHWISE_RUN_H
#define ENG_X86_DEPTHWISE_RUN_H

#include "depthwise.h"
#include "twin.h"

#define STRIP      ENG_X86_STRIP
#define MOST_GROUP (STRIP * ENG_STRIPS)

/* One pass over the mixed rows. */
typedef struct {
    const eng_x86_depthwise *p;
    const uint8_t *mixed;
    const uint32_t *column;
    const uint8_t *w;
    const int32_t *lane;
    int8_t *y; /* of the first of the pass's output rows */
} pass;

/* Strip `strip` and, period after period, points - 1 more, of `together` output rows. */
ENG_INLINE void sum_strips(const pass *s, uint32_t strip, uint32_t points, uint32_t together, eng_vec *acc)
{
    const eng_x86_depthwise *const p = s->p;
    const uint32_t first = strip % p->period;
    const size_t set = (size_t)p->groups * p->columns * p->together * STRIP * VECTOR;
    const size_t point = (size_t)p->period * STRIP * VECTOR;
    const uint8_t *w = s->w + first * set, *rows = s->mixed + (size_t)strip * STRIP * VECTOR;
    const int32_t *const lane = s->lane + (size_t)first * STRIP * ENG_X86_LANE * ENG_LANES;
#pragma GCC unroll 16
    for (uint32_t i = 0; i < points * together * STRIP; ++i) {
        acc[i] = vec_load(lane + (size_t)(i % STRIP) * ENG_X86_LANE * ENG_LANES);
    }
    for (uint32_t g = 0; g < p->groups; ++g) {
        for (uint32_t j = 0; j < p->columns; ++j) {
            const uint8_t *const at = rows + s->column[j];
#pragma GCC unroll 4
            for (uint32_t v = 0; v < STRIP; ++v) {
#pragma GCC unroll 4
                for (uint32_t i = 0; i < points; ++i) {
                    const eng_vec x = vec_load_any(at + i * point + v * VECTOR);
#pragma GCC unroll 2
                    for (uint32_t r = 0; r < together; ++r) {
                        const uint32_t a = (i * together + r) * STRIP + v;
                        acc[a] = vec_dot(acc[a], x, vec_load(w + (r * STRIP + v) * VECTOR));
                    }
                }
            }
            w += p->together * STRIP * VECTOR;
        }
        rows += p->group;
    }
}

ENG_INLINE void store_strips(const pass *s, uint32_t strip, uint32_t points, uint32_t together, const eng_vec *acc,
                             eng_x86_rounding loops)
{
    const eng_x86_depthwise *const p = s->p;
    const int32_t *const lane = s->lane + (size_t)(strip % p->period) * STRIP * ENG_X86_LANE * ENG_LANES;
    eng_vec codes[MOST_GROUP];
#pragma GCC unroll 4
    for (uint32_t v = 0; v < STRIP; ++v) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < points * together; ++i) {
            const int32_t *const at = lane + (size_t)v * ENG_X86_LANE * ENG_LANES;
            codes[i * STRIP + v] = rounded(acc[i * STRIP + v], at, loops, p->rounding, &p->y);
        }
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < points; ++i) {
        const uint32_t first = (strip + i * p->period) * STRIP * ENG_LANES, left = p->row_codes - first;
        const uint32_t count = left < STRIP * ENG_LANES ? left : STRIP * ENG_LANES;
#pragma GCC unroll 2
        for (uint32_t r = 0; r < together; ++r) {
            vec_store_four(codes + (i * together + r) * STRIP, &p->clamp, count, s->y + (size_t)r * p->row_codes + first);
        }
    }
}

ENG_INLINE void all_strips(const pass *s, uint32_t points, uint32_t together, eng_x86_rounding loops)
{
    const uint32_t period = s->p->period, strips = s->p->strips;
    eng_vec acc[MOST_GROUP];
    for (uint32_t first = 0; first < period; ++first) {
        uint32_t strip = first;
        for (; strip + (points - 1) * period < strips; strip += points * period) {
            sum_strips(s, strip, points, together, acc);
            store_strips(s, strip, points, together, acc, loops);
        }
        for (; strip < strips; strip += period) {
            sum_strips(s, strip, 1, together, acc);
            store_strips(s, strip, 1, together, acc, loops);
        }
    }
}

ENG_INLINE void any_rows(const pass *s, uint32_t together, eng_x86_rounding loops)
{
    if (together == 2) {
        all_strips(s, ENG_STRIPS / 2, 2, loops);
    } else {
        all_strips(s, ENG_STRIPS, 1, loops);
    }
}

static void run_pass(const pass *s, uint32_t together)
{
    switch (s->p->rounding) {
#define CASE(form)                                                                                                             \
    case form:                                                                                                                 \
        any_rows(s, together, form);                                                                                           \
        break;
        ENG_ROUNDINGS(CASE)
#undef CASE
    default:
        any_rows(s, together, ENG_X86_DOUBLE);
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

/* Mixes `rows` rows from row `first` of the padded image on; what lies beyond has zero weights, so that any row will do. */
static void mix_groups(const row_source *source, uint32_t first, uint32_t rows, uint8_t *mixed)
{
    enum { STEP = sizeof(int32_t) / sizeof(code_t) };
    const eng_x86_depthwise *const p = source->p;
    const size_t left = p->phases == 1 ? (size_t)p->left * p->pixel : 0, right = p->row - left - source->codes;
    for (uint32_t g = 0; g < p->groups; ++g) {
        const int8_t *from[STEP];
        for (uint32_t e = 0; e < STEP; ++e) {
            const uint32_t row = first + (g * STEP + e < rows ? g * STEP + e : 0) * p->kernel_row;
            const bool inside = row >= p->top && row - p->top < p->in_h;
            from[e] = inside ? source->first + (row - p->top) * source->codes : source->padding;
        }
        fill_steps(left, p->padding, mixed);
        mix_rows(from, source->codes, mixed + left * sizeof(int32_t));
        fill_steps(right, p->padding, mixed + (left + source->codes) * sizeof(int32_t));
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
    for (uint32_t r = 0; r < p->rows; r += p->together) {
        const uint32_t together = p->rows - r < p->together ? 1 : p->together;
        const uint32_t taken = p->taken - (p->together - together) * p->row_step;
        const pass s = {p, mixed, column, base + p->w, lanes, (int8_t *)y + (size_t)r * p->row_codes};
        mix_groups(&source, r * p->row_step, taken, mixed);
        run_pass(&s, together);
    }
}

#endif
