/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over a packed form, for whatever instruction set includes this: it has defined before
 *   eng_vec, ENG_LANES                                a vector of int32
 *   vec_load(p), vec_zero(), vec_lowest(), vec_add(a, b), vec_max(a, b)
 *   vec_step(p)                                       the four bytes at p in every lane
 *   vec_dot(acc, x, w)                                acc + products of a step's codes and weights, modulo 2^32
 *   vec_requant_double(acc, lane), vec_requant_single the rules of eng/quant.h before the zero point; lane as in products.h
 *   vec_requant_tame                                  double rounding as eng_x86_products.tame says
 *   vec_load_any(p)                                   as vec_load, from any address
 *   mix_rows(rows, n, mixed)                          step i of n: code i of every row in rows; reads up to 16 codes more
 *   vec_store_codes(v, output, count, y)              clamps to codes, writes the first count
 *   copy_codes(x, n, image), fill_codes(image, n, c)  int8 codes to the image's, and one code many times
 *   code_t                                            a code of the image
 * Every function here is inlined into one of few callers with constant sizes, so that accumulators stay in registers. */
#ifndef ENG_X86_PRODUCTS_RUN_H
#define ENG_X86_PRODUCTS_RUN_H

#include "products.h"

#define ENG_INLINE  static inline __attribute__((always_inline))
#define VECTOR      ((size_t)ENG_LANES * ENG_X86_STEP)
#define MOST_ACCS   24
#define MOST_POINTS 8

/* Positions (or splits of one position's steps) times blocks. */
typedef struct {
    eng_vec v[MOST_ACCS];
} accumulators;

/* A chunk of outputs. */
typedef struct {
    const eng_x86_products *p;
    const uint8_t *image;
    const uint32_t *segment;
    const uint8_t *w;
    const int32_t *lane;
    int8_t *y;      /* of the chunk's first output at position 0 */
    uint32_t count; /* outputs in the chunk */
} chunk;

/* acc[point][block] of points <= 8 positions. */
ENG_INLINE void sum_points(const chunk *c, const uint32_t *position, uint32_t points, uint32_t blocks, accumulators *acc)
{
    const uint8_t *at[MOST_POINTS];
    const uint8_t *w = c->w;
    const uint32_t run = c->p->run;
#pragma GCC unroll 8
    for (uint32_t i = 0; i < points; ++i) {
        at[i] = c->image + position[i];
#pragma GCC unroll 4
        for (uint32_t b = 0; b < blocks; ++b) {
            acc->v[i * blocks + b] = vec_load(c->lane + (size_t)b * ENG_X86_LANE * ENG_LANES);
        }
    }
    for (uint32_t s = 0; s < c->p->segments; ++s) {
        const size_t first = c->segment[s];
        const size_t end = first + (size_t)run * ENG_X86_STEP;
        for (size_t k = first; k < end; k += ENG_X86_STEP) {
            eng_vec wb[ENG_X86_BLOCKS];
#pragma GCC unroll 4
            for (uint32_t b = 0; b < blocks; ++b) {
                wb[b] = vec_load(w + b * VECTOR);
            }
#pragma GCC unroll 8
            for (uint32_t i = 0; i < points; ++i) {
                const eng_vec x = vec_step(at[i] + k);
#pragma GCC unroll 4
                for (uint32_t b = 0; b < blocks; ++b) {
                    acc->v[i * blocks + b] = vec_dot(acc->v[i * blocks + b], x, wb[b]);
                }
            }
            w += blocks * VECTOR;
        }
    }
}

/* acc[0][block] of one position: steps go round `splits` sums, so that additions do not wait for one another. */
ENG_INLINE void sum_one(const chunk *c, const uint32_t *position, uint32_t splits, uint32_t blocks, accumulators *acc)
{
    const uint8_t *w = c->w;
    const uint32_t run = c->p->run;
#pragma GCC unroll 8
    for (uint32_t i = 0; i < splits * blocks; ++i) {
        acc->v[i] = i < blocks ? vec_load(c->lane + (size_t)i * ENG_X86_LANE * ENG_LANES) : vec_zero();
    }
    for (uint32_t s = 0; s < c->p->segments; ++s) {
        const uint8_t *at = c->image + *position + c->segment[s];
        uint32_t k = 0;
        for (; k + splits <= run; k += splits) {
#pragma GCC unroll 8
            for (uint32_t i = 0; i < splits; ++i) {
                const eng_vec x = vec_step(at + i * ENG_X86_STEP);
#pragma GCC unroll 4
                for (uint32_t b = 0; b < blocks; ++b) {
                    acc->v[i * blocks + b] = vec_dot(acc->v[i * blocks + b], x, vec_load(w + (i * blocks + b) * VECTOR));
                }
            }
            at += splits * ENG_X86_STEP;
            w += splits * blocks * VECTOR;
        }
        for (; k < run; ++k) {
            const eng_vec x = vec_step(at);
#pragma GCC unroll 4
            for (uint32_t b = 0; b < blocks; ++b) {
                acc->v[b] = vec_dot(acc->v[b], x, vec_load(w + b * VECTOR));
            }
            at += ENG_X86_STEP;
            w += blocks * VECTOR;
        }
    }
#pragma GCC unroll 8
    for (uint32_t i = blocks; i < splits * blocks; ++i) {
        acc->v[i % blocks] = vec_add(acc->v[i % blocks], acc->v[i]);
    }
}

ENG_INLINE eng_vec requantized(const eng_x86_products *p, eng_vec acc, const int32_t *lane, bool single)
{
    if (single) {
        return vec_requant_single(acc, lane);
    }
    return p->tame ? vec_requant_tame(acc, lane) : vec_requant_double(acc, lane);
}

ENG_INLINE void store_output(const chunk *c, size_t output, const eng_vec *acc, uint32_t blocks, bool single)
{
    int8_t *const y = c->y + output * c->p->out;
#pragma GCC unroll 4
    for (uint32_t b = 0; b < blocks; ++b) {
        const int32_t *const lane = c->lane + (size_t)b * ENG_X86_LANE * ENG_LANES;
        const uint32_t left = c->count - b * ENG_LANES;
        const eng_vec v = requantized(c->p, acc[b], lane, single);
        vec_store_codes(v, &c->p->y, left < ENG_LANES ? left : ENG_LANES, y + (size_t)b * ENG_LANES);
    }
}

/* The larger of accumulators i and i + half, i < half, for `points` points. */
ENG_INLINE void fold_maximum(accumulators *acc, uint32_t half, uint32_t blocks)
{
#pragma GCC unroll 16
    for (uint32_t i = 0; i < half * blocks; ++i) {
        acc->v[i] = vec_max(acc->v[i], acc->v[i + half * blocks]);
    }
}

/* Double rounding: dense layers have one output position only. As many outputs of one position each as come in groups of
 * `points`, from output `from` on; returns the next. */
ENG_INLINE uint32_t groups(const chunk *c, const uint32_t *position, uint32_t from, uint32_t points, uint32_t blocks)
{
    accumulators acc;
    for (; from + points <= c->p->outputs; from += points) {
        sum_points(c, position + from, points, blocks, &acc);
#pragma GCC unroll 8
        for (uint32_t i = 0; i < points; ++i) {
            store_output(c, from + i, acc.v + i * blocks, blocks, false);
        }
    }
    return from;
}

ENG_INLINE void plain(const chunk *c, const uint32_t *position, uint32_t points, uint32_t blocks)
{
    accumulators acc;
    uint32_t from = groups(c, position, 0, points, blocks);
    from = groups(c, position, from, 4, blocks);
    from = groups(c, position, from, 2, blocks);
    if (from < c->p->outputs) {
        sum_one(c, position + from, 8 / blocks, blocks, &acc);
        if (c->p->single) {
            store_output(c, from, acc.v, blocks, true);
        } else {
            store_output(c, from, acc.v, blocks, false);
        }
    }
}

/* Fused maximum over taps <= 4, one output's. */
ENG_INLINE void few_taps(const chunk *c, const uint32_t *position, uint32_t taps, uint32_t blocks)
{
    accumulators acc;
    for (uint32_t output = 0; output < c->p->outputs; ++output) {
        sum_points(c, position + (size_t)output * taps, taps, blocks, &acc);
        for (uint32_t half = taps / 2; half > 0; half /= 2) {
            fold_maximum(&acc, half, blocks);
        }
        store_output(c, output, acc.v, blocks, false);
    }
}

/* The same over any number of taps, four at a time. */
ENG_INLINE void many_taps(const chunk *c, const uint32_t *position, uint32_t blocks)
{
    accumulators acc;
    eng_vec best[ENG_X86_BLOCKS];
    for (uint32_t output = 0; output < c->p->outputs; ++output) {
        for (uint32_t b = 0; b < blocks; ++b) {
            best[b] = vec_lowest();
        }
        for (uint32_t t = 0; t < c->p->taps; t += 4) {
            sum_points(c, position, 4, blocks, &acc);
            fold_maximum(&acc, 2, blocks);
            fold_maximum(&acc, 1, blocks);
            for (uint32_t b = 0; b < blocks; ++b) {
                best[b] = vec_max(best[b], acc.v[b]);
            }
            position += 4;
        }
        store_output(c, output, best, blocks, false);
    }
}

/* points: as many as the registers hold sums of `blocks`. */
ENG_INLINE void all_outputs(const chunk *c, const uint32_t *position, uint32_t points, uint32_t blocks)
{
    switch (c->p->taps) {
    case 1:
        plain(c, position, points, blocks);
        break;
    case 2:
        few_taps(c, position, 2, blocks);
        break;
    case 4:
        few_taps(c, position, 4, blocks);
        break;
    default:
        many_taps(c, position, blocks);
        break;
    }
}

static void run_chunk(const chunk *c, const uint32_t *position, uint32_t blocks)
{
    switch (blocks) {
    case 1:
        all_outputs(c, position, ENG_POINTS_1, 1);
        break;
    case 2:
        all_outputs(c, position, ENG_POINTS_2, 2);
        break;
    case 3:
        all_outputs(c, position, ENG_POINTS_3, 3);
        break;
    default:
        all_outputs(c, position, ENG_POINTS_4, 4);
        break;
    }
}

/* x as an image of codes with padding around it. */
static void make_image(const eng_x86_products *p, const int8_t *x, code_t *image)
{
    if (p->image_row == p->x_row && p->image_rows == p->x_rows) {
        copy_codes(x, p->x_row * p->x_rows, image);
        return;
    }
    const size_t right = p->image_row - p->left - p->x_row;
    const size_t bottom = (p->image_rows - p->top - p->x_rows) * p->image_row;
    fill_codes(image, p->top * p->image_row, p->padding);
    image += p->top * p->image_row;
    for (uint32_t r = 0; r < p->x_rows; ++r) {
        fill_codes(image, p->left, p->padding);
        copy_codes(x, p->x_row, image + p->left);
        fill_codes(image + p->left + p->x_row, right, p->padding);
        image += p->image_row;
        x += p->x_row;
    }
    fill_codes(image, bottom, p->padding);
}

static void run_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_products *const p = packed;
    const uint8_t *const base = packed;
    const void *const x = arena + l->x, *const segment = base + p->segment, *const position = base + p->position;
    const void *const lanes = base + p->lane;
    void *const image = scratch, *const y = arena + l->y;
    make_image(p, x, image);
    for (uint32_t first = 0; first < p->blocks; first += ENG_X86_BLOCKS) {
        const uint32_t blocks = p->blocks - first < ENG_X86_BLOCKS ? p->blocks - first : ENG_X86_BLOCKS;
        const chunk c = {.p = p,
                         .image = scratch,
                         .segment = segment,
                         .w = base + p->w + (size_t)first * p->segments * p->run * VECTOR,
                         .lane = (const int32_t *)lanes + (size_t)first * ENG_X86_LANE * ENG_LANES,
                         .y = (int8_t *)y + (size_t)first * ENG_LANES,
                         .count = p->out - first * ENG_LANES};
        run_chunk(&c, position, blocks);
    }
}

/* One block of channels of one output row. Distances in bytes. */
typedef struct {
    const eng_x86_products *p;
    const uint8_t *mixed;
    const uint8_t *w;
    const int32_t *lane;
    int8_t *y;
    size_t group, step, tap; /* between groups, positions and kernel columns of the mixed rows */
    size_t y_step;
    uint32_t positions;
    uint32_t count, last_count; /* codes of a position, and of the last one */
} strip;

/* `points` positions from `from` on. */
ENG_INLINE void strip_points(const strip *s, uint32_t from, uint32_t points)
{
    const uint8_t *w = s->w;
    eng_vec acc[MOST_POINTS];
#pragma GCC unroll 8
    for (uint32_t i = 0; i < points; ++i) {
        acc[i] = vec_load(s->lane);
    }
    for (uint32_t g = 0; g < s->p->groups; ++g) {
        const uint8_t *at = s->mixed + g * s->group + from * s->step;
        for (uint32_t j = 0; j < s->p->columns; ++j) {
            const eng_vec wj = vec_load(w);
#pragma GCC unroll 8
            for (uint32_t i = 0; i < points; ++i) {
                acc[i] = vec_dot(acc[i], vec_load_any(at + i * s->step), wj);
            }
            at += s->tap;
            w += VECTOR;
        }
    }
#pragma GCC unroll 8
    for (uint32_t i = 0; i < points; ++i) {
        const uint32_t count = from + i + 1 < s->positions ? s->count : s->last_count;
        vec_store_codes(requantized(s->p, acc[i], s->lane, false), &s->p->y, count, s->y + (from + i) * s->y_step);
    }
}

static void run_strip(const strip *s)
{
    uint32_t from = 0;
    for (; from + MOST_POINTS <= s->positions; from += MOST_POINTS) {
        strip_points(s, from, MOST_POINTS);
    }
    for (; from + 2 <= s->positions; from += 2) {
        strip_points(s, from, 2);
    }
    if (from < s->positions) {
        strip_points(s, from, 1);
    }
}

/* Rows of the copy from `image` on, mixed; rows beyond the kernel have zero weights, so that any will do. */
static void mix_groups(const eng_x86_products *p, const code_t *image, size_t group, uint32_t kernel_h, uint8_t *mixed)
{
    enum { STEP = ENG_X86_STEP / sizeof(code_t) };
    for (uint32_t g = 0; g < p->groups; ++g) {
        const code_t *rows[STEP];
        for (uint32_t e = 0; e < STEP; ++e) {
            const uint32_t row = g * STEP + e;
            rows[e] = image + (row < kernel_h ? row : 0) * p->kernel_row;
        }
        mix_rows(rows, p->image_row, mixed + g * group);
    }
}

static void run_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_products *const p = packed;
    const uint8_t *const base = packed;
    const void *const x = arena + l->x, *const lanes = base + p->lane;
    void *const image = scratch, *const y = arena + l->y;
    uint8_t *const mixed = scratch + p->mixed;
    const uint32_t codes = p->out * p->repeats;
    const uint32_t positions = (p->row_codes + codes - 1) / codes;
    const size_t group = (p->scratch - p->mixed) / p->groups;
    make_image(p, x, image);
    for (uint32_t r = 0; r < p->rows; ++r) {
        mix_groups(p, (const code_t *)image + r * p->row_step, group,
                   ((const eng_conv2d_s8_params *)l->params)->window.kernel_h, mixed);
        for (uint32_t b = 0; b < p->blocks; ++b) {
            const uint32_t first = b * ENG_LANES, left = codes - first;
            const uint32_t count = left < ENG_LANES ? left : ENG_LANES;
            const strip s = {.p = p,
                             .mixed = mixed + (size_t)first * ENG_X86_STEP,
                             .w = base + p->w + (size_t)b * p->segments * VECTOR,
                             .lane = (const int32_t *)lanes + (size_t)b * ENG_X86_LANE * ENG_LANES,
                             .y = (int8_t *)y + (size_t)r * p->row_codes + first,
                             .group = group,
                             .step = p->column_step * ENG_X86_STEP,
                             .tap = p->kernel_column * ENG_X86_STEP,
                             .y_step = codes,
                             .positions = positions,
                             .count = count,
                             .last_count = p->repeats == 1 ? count : p->row_codes - (positions - 1) * codes};
            run_strip(&s);
        }
    }
}

#endif
