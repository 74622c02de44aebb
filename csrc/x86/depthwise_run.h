/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over a packed form of depthwise convolutions; vectors as twin.h says. */
#ifndef ENG_X86_DEPTHWISE_RUN_H
#define ENG_X86_DEPTHWISE_RUN_H

#include "depthwise.h"
#include "image_run.h"

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
#pragma GCC unroll 4
    for (uint32_t i = 0; i < points; ++i) {
        const uint32_t first = (strip + i * p->period) * STRIP * ENG_LANES, left = p->row_codes - first;
        const uint32_t count = left < STRIP * ENG_LANES ? left : STRIP * ENG_LANES;
#pragma GCC unroll 2
        for (uint32_t r = 0; r < together; ++r) {
            eng_vec codes[STRIP];
#pragma GCC unroll 4
            for (uint32_t v = 0; v < STRIP; ++v) {
                codes[v] = rounded(acc[(i * together + r) * STRIP + v], lane + (size_t)v * ENG_X86_LANE * ENG_LANES, loops,
                                   p->rounding, &p->y);
            }
            vec_store_four(codes, &p->y, count, s->y + (size_t)r * p->row_codes + first);
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

/* Mixes the first `rows` of the copy's rows that a pass reads; what lies beyond has zero weights, so that any row will do. */
static void mix_groups(const eng_x86_depthwise *p, const code_t *image, uint32_t rows, uint8_t *mixed)
{
    enum { STEP = sizeof(int32_t) / sizeof(code_t) };
    for (uint32_t g = 0; g < p->groups; ++g) {
        const code_t *from[STEP];
        for (uint32_t e = 0; e < STEP; ++e) {
            const uint32_t row = g * STEP + e;
            from[e] = image + (row < rows ? row : 0) * p->kernel_row;
        }
        mix_rows(from, p->image.row, mixed + g * p->group);
    }
}

static void run_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_depthwise *const p = packed;
    const uint8_t *const base = packed;
    const void *const x = arena + l->x, *const lanes = base + p->lane, *const column = base + p->column;
    void *const image = scratch, *const y = arena + l->y;
    uint8_t *const mixed = scratch + p->mixed;
    make_image(&p->image, x, image);
    for (uint32_t r = 0; r < p->rows; r += p->together) {
        const uint32_t together = p->rows - r < p->together ? 1 : p->together;
        const uint32_t taken = together == p->together ? p->taken : ((const eng_conv2d_s8_params *)l->params)->window.kernel_h;
        const pass s = {p, mixed, column, base + p->w, lanes, (int8_t *)y + (size_t)r * p->row_codes};
        mix_groups(p, (const code_t *)image + r * p->row_step, taken, mixed);
        run_pass(&s, together);
    }
}

#endif
