/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over a packed form of dense and convolution layers; vectors as twin.h says. Every function here is inlined into one
 * of few callers with constant sizes, so that accumulators stay in registers. */
#ifndef ENG_X86_PRODUCTS_RUN_H
#define ENG_X86_PRODUCTS_RUN_H

#include "image_run.h"
#include "products.h"

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
    int8_t *y;        /* of the chunk's first output at position 0 */
    size_t y_step;    /* bytes from a position to the next */
    uint32_t outputs; /* positions */
    uint32_t count;   /* outputs in the chunk */
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

/* Codes of one position before the clamp. */
ENG_INLINE void store_blocks(const chunk *c, const eng_vec *codes, uint32_t blocks, int8_t *y)
{
    if (blocks > 2) {
        const eng_vec four[4] = {codes[0], codes[1], codes[2], blocks > 3 ? codes[3] : codes[2]};
        const uint32_t most = blocks * ENG_LANES;
        vec_store_four(four, &c->p->clamp, c->count < most ? c->count : most, y);
        return;
    }
#pragma GCC unroll 2
    for (uint32_t b = 0; b < blocks; ++b) {
        const uint32_t left = c->count - b * ENG_LANES;
        vec_store(codes[b], &c->p->clamp, left < ENG_LANES ? left : ENG_LANES, y + (size_t)b * ENG_LANES);
    }
}

/* Codes of `points` neighbouring outputs from `output` on; acc[point][block]. */
ENG_INLINE void store_outputs(const chunk *c, size_t output, const eng_vec *acc, uint32_t points, uint32_t blocks,
                              eng_x86_rounding loops)
{
    int8_t *y = c->y + output * c->y_step;
    const uint32_t vectors = points * blocks;
    eng_vec codes[MOST_ACCS];
#pragma GCC unroll 4
    for (uint32_t b = 0; b < blocks; ++b) {
        const int32_t *const lane = c->lane + (size_t)b * ENG_X86_LANE * ENG_LANES;
#pragma GCC unroll 8
        for (uint32_t i = b; i < vectors; i += blocks) {
            codes[i] = rounded(acc[i], lane, loops, c->p->rounding, &c->p->y);
        }
    }
    if (blocks < 4 && vectors % 4 == 0 && c->count == blocks * ENG_LANES && c->y_step == c->count) {
#pragma GCC unroll 6
        for (uint32_t i = 0; i < vectors; i += 4) {
            vec_store_four(codes + i, &c->p->clamp, 4 * ENG_LANES, y + (size_t)i * ENG_LANES);
        }
        return;
    }
#pragma GCC unroll 8
    for (uint32_t i = 0; i < points; ++i) {
        store_blocks(c, codes + i * blocks, blocks, y);
        y += c->y_step;
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

/* As many outputs of one position each as come in groups of `points`, from output `from` on; returns the next. */
ENG_INLINE uint32_t groups(const chunk *c, const uint32_t *position, uint32_t from, uint32_t points, uint32_t blocks,
                           eng_x86_rounding loops)
{
    accumulators acc;
    for (; from + points <= c->outputs; from += points) {
        sum_points(c, position + from, points, blocks, &acc);
        store_outputs(c, from, acc.v, points, blocks, loops);
    }
    return from;
}

ENG_INLINE void plain(const chunk *c, const uint32_t *position, uint32_t points, uint32_t blocks, eng_x86_rounding loops)
{
    accumulators acc;
    uint32_t from = groups(c, position, 0, points, blocks, loops);
    from = groups(c, position, from, points > 4 ? 4 : 2, blocks, loops);
    from = groups(c, position, from, 2, blocks, loops);
    if (from < c->outputs) {
        sum_one(c, position + from, 8 / blocks, blocks, &acc);
        store_outputs(c, from, acc.v, 1, blocks, loops);
    }
}

/* Fused maximum over taps <= 4, one output's. */
ENG_INLINE void few_taps(const chunk *c, const uint32_t *position, uint32_t taps, uint32_t blocks, eng_x86_rounding loops)
{
    accumulators acc;
    for (uint32_t output = 0; output < c->outputs; ++output) {
        sum_points(c, position + (size_t)output * taps, taps, blocks, &acc);
        for (uint32_t half = taps / 2; half > 0; half /= 2) {
            fold_maximum(&acc, half, blocks);
        }
        store_outputs(c, output, acc.v, 1, blocks, loops);
    }
}

/* The same over any number of taps, four at a time. */
ENG_INLINE void many_taps(const chunk *c, const uint32_t *position, uint32_t blocks, eng_x86_rounding loops)
{
    accumulators acc;
    eng_vec best[ENG_X86_BLOCKS];
    for (uint32_t output = 0; output < c->outputs; ++output) {
#pragma GCC unroll 4
        for (uint32_t b = 0; b < blocks; ++b) {
            best[b] = vec_lowest();
        }
        for (uint32_t t = 0; t < c->p->taps; t += 4) {
            sum_points(c, position, 4, blocks, &acc);
            fold_maximum(&acc, 2, blocks);
            fold_maximum(&acc, 1, blocks);
#pragma GCC unroll 4
            for (uint32_t b = 0; b < blocks; ++b) {
                best[b] = vec_max(best[b], acc.v[b]);
            }
            position += 4;
        }
        store_outputs(c, output, best, 1, blocks, loops);
    }
}

/* points: as many as the registers hold sums of `blocks`. */
ENG_INLINE void all_outputs(const chunk *c, const uint32_t *position, uint32_t points, uint32_t blocks, eng_x86_rounding loops)
{
    switch (c->p->taps) {
    case 1:
        plain(c, position, points, blocks, loops);
        break;
    case 2:
        few_taps(c, position, 2, blocks, loops);
        break;
    case 4:
        few_taps(c, position, 4, blocks, loops);
        break;
    default:
        many_taps(c, position, blocks, loops);
        break;
    }
}

ENG_INLINE void any_blocks(const chunk *c, const uint32_t *position, uint32_t blocks, eng_x86_rounding loops)
{
    switch (blocks) {
    case 1:
        all_outputs(c, position, ENG_POINTS_1, 1, loops);
        break;
    case 2:
        all_outputs(c, position, ENG_POINTS_2, 2, loops);
        break;
    case 3:
        all_outputs(c, position, ENG_POINTS_3, 3, loops);
        break;
    default:
        all_outputs(c, position, ENG_POINTS_4, 4, loops);
        break;
    }
}

static void run_chunk(const chunk *c, const uint32_t *position, uint32_t blocks)
{
    switch (c->p->rounding) {
#define CASE(form)                                                                                                             \
    case form:                                                                                                                 \
        any_blocks(c, position, blocks, form);                                                                                 \
        break;
        ENG_ROUNDINGS(CASE)
#undef CASE
    default:
        any_blocks(c, position, blocks, ENG_X86_DOUBLE);
        break;
    }
}

/* All outputs at `outputs` positions; y: of the first. */
static void run_chunks(const void *packed, const uint8_t *image, const uint32_t *position, uint32_t outputs, int8_t *y,
                       size_t y_step)
{
    const eng_x86_products *const p = packed;
    const uint8_t *const base = packed;
    const void *const segment = base + p->segment, *const lanes = base + p->lane;
    for (uint32_t first = 0; first < p->blocks; first += ENG_X86_BLOCKS) {
        const uint32_t blocks = p->blocks - first < ENG_X86_BLOCKS ? p->blocks - first : ENG_X86_BLOCKS;
        const chunk c = {.p = p,
                         .image = image,
                         .segment = segment,
                         .w = base + p->w + (size_t)first * p->segments * p->run * VECTOR,
                         .lane = (const int32_t *)lanes + (size_t)first * ENG_X86_LANE * ENG_LANES,
                         .y = y + (size_t)first * ENG_LANES,
                         .y_step = y_step,
                         .outputs = outputs,
                         .count = p->out - first * ENG_LANES};
        run_chunk(&c, position, blocks);
    }
}

static void run_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_products *const p = packed;
    const void *const x = arena + l->x, *const position = (const uint8_t *)packed + p->position;
    void *const image = scratch, *const y = arena + l->y;
    make_image(&p->image, x, image);
    run_chunks(packed, scratch, position, p->outputs, y, p->out);
}

/* Dense layers of several samples: each is one position of one copy. */
static void run_dense(const eng_layer *l, const void *packed, uint8_t *arena, size_t stride, uint32_t samples, uint8_t *scratch)
{
    const eng_x86_products *const p = packed;
    uint32_t position[ENG_PREPARE_SAMPLES];
    void *const y = arena + l->y;
    for (uint32_t n = 0; n < samples; ++n) {
        const void *const x = arena + n * stride + l->x;
        void *const image = scratch + n * p->copy;
        make_image(&p->image, x, image);
        position[n] = (uint32_t)(n * p->copy);
    }
    run_chunks(packed, scratch, position, samples, y, stride);
}

#endif
