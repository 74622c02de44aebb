/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of products over a packed form of dense and convolution layers, for points that share a pass over the weights; vectors
 * as twin.h says. Every function here is inlined into callers with constant sizes, so that accumulators stay in registers. */
#ifndef ENG_X86_POINTS_RUN_H
#define ENG_X86_POINTS_RUN_H

#include "products.h"
#include "twin.h"

#define MOST_ACCS 24 /* vectors that a group of points sums in */

/* A chunk of outputs over points that lie `point` bytes apart. */
typedef struct {
    const eng_x86_products *p;
    eng_x86_walk walk;
    bool halves, tail;
    const uint32_t *segment;
    uint32_t blocks; /* of a step */
    const uint8_t *w, *w_tail;
    const int32_t *lane;
    size_t point;
    uint32_t columns, last_columns; /* of points in a row, and in the last one */
} chunk;

/* What loops over groups of points are for: blocks of a step, whether outputs have two lanes each, whether codes are not
 * copied, as many `steps` as each of `segments` has or 0 for any, at most how many points share a pass, of what their number is
 * a multiple, so that four vectors of sums are often complete, whether neighbours share codes of three kernel columns, and
 * whether the last block is one of halves after full ones. */
typedef struct {
    uint32_t blocks;
    bool halves, raw;
    uint32_t steps, most, unit;
    bool thirds, tail;
    uint32_t segments;
} grouping;

/* The i-th of a group of points, x3 being the third: distances in three registers and what an address may add. */
ENG_INLINE const uint8_t *nth_point(const uint8_t *x, const uint8_t *x3, size_t one, size_t three, size_t five, uint32_t i)
{
    switch (i) {
    case 0:
        return x;
    case 1:
        return x + one;
    case 2:
        return x + 2 * one;
    case 3:
        return x3;
    case 4:
        return x + 4 * one;
    case 5:
        return x3 + 2 * one;
    case 6:
        return x + 2 * three;
    case 7:
        return x3 + 4 * one;
    case 8:
        return x + 8 * one;
    case 9:
        return x3 + 2 * three;
    case 10:
        return x + 2 * five;
    case 11:
        return x3 + 8 * one;
    case 12:
        return x + 4 * three;
    case 13:
        return x3 + 2 * five;
    case 14:
        return x3 + three + 8 * one;
    default:
        return x3 + 4 * three;
    }
}

/* What vector v of a step's sums begins with. */
ENG_INLINE eng_vec bias_of(const chunk *c, uint32_t v)
{
    return vec_load(c->lane + (size_t)(c->p->pairs ? v / 2 : v) * ENG_X86_LANE * ENG_LANES);
}

/* Sums, and if there is `more` than one tap the larger of them and what is there. */
ENG_INLINE void leave(uint32_t vectors, bool more, const eng_vec *acc, eng_vec *to)
{
    if (more) {
#pragma GCC unroll 24
        for (uint32_t i = 0; i < vectors; ++i) {
            vec_keep(to + i, vec_max(acc[i], vec_load(to + i)));
        }
        return;
    }
#pragma GCC unroll 24
    for (uint32_t i = 0; i < vectors; ++i) {
        vec_keep(to + i, acc[i]);
    }
}

/* Leaves the sums of `points` points at `to`, [point][block], joined where halves or pairs share them. */
ENG_INLINE void leave_sums(const chunk *c, uint32_t points, uint32_t blocks, bool halves, bool more, eng_vec *acc, eng_vec *to)
{
    if (halves) {
#pragma GCC unroll 16
        for (uint32_t i = 0; i < points; ++i) {
            acc[i] = vec_join(acc[i]);
        }
    }
    if (blocks % 2 != 0 || !c->p->pairs) {
        leave(points * blocks, more, acc, to);
        return;
    }
#pragma GCC unroll 16
    for (uint32_t i = 0; i < points * blocks / 2; ++i) {
        acc[i] = vec_max(acc[2 * i], acc[2 * i + 1]);
    }
    leave(points * blocks / 2, more, acc, to);
}

/* Distances between points: one, three and five. */
typedef struct {
    size_t one, three, five;
} distances;

/* The codes of a step. */
ENG_INLINE eng_vec codes_at(const uint8_t *x, bool halves, bool raw)
{
#if ENG_RAW
    if (raw) {
        return halves ? vec_raw_two_steps(x) : vec_raw_step(x);
    }
#endif
    (void)raw;
    return halves ? vec_two_steps(x) : vec_step(x);
}

/* One step of `points` points, the first of them at x and the fourth at x3, to sums that are `apart` from point to point. */
ENG_INLINE void sum_blocks(const uint8_t *x, const uint8_t *x3, const distances *d, const uint8_t *w, uint32_t points,
                           grouping g, uint32_t apart, eng_vec *acc)
{
    eng_vec wb[ENG_X86_BLOCKS];
#pragma GCC unroll 4
    for (uint32_t b = 0; b < g.blocks; ++b) {
        wb[b] = vec_load(w + b * VECTOR);
    }
#pragma GCC unroll 16
    for (uint32_t i = 0; i < points; ++i) {
        const uint8_t *const xi = nth_point(x, x3, d->one, d->three, d->five, i);
        const eng_vec codes = codes_at(xi, g.halves, g.raw);
#pragma GCC unroll 4
        for (uint32_t b = 0; b < g.blocks; ++b) {
            acc[i * apart + b] = vec_dot(acc[i * apart + b], codes, wb[b]);
        }
    }
}

ENG_INLINE void sum_step(const uint8_t *x, const uint8_t *x3, const distances *d, const uint8_t *w, uint32_t points, grouping g,
                         eng_vec *acc)
{
    sum_blocks(x, x3, d, w, points, g, g.blocks, acc);
}

/* One step of each of three kernel columns, a third of a segment apart, for points of one block that are as far from one
 * another as the columns: codes of one are loaded once for the three points that have them in their kernels. */
ENG_INLINE void sum_thirds_step(const chunk *c, const uint8_t *x, const distances *d, const uint8_t *w, uint32_t points,
                                eng_vec *acc)
{
    const uint8_t *const x8 = x + 8 * d->one;
    eng_vec wj[3];
#pragma GCC unroll 3
    for (uint32_t j = 0; j < 3; ++j) {
        wj[j] = vec_load(w + (size_t)j * c->p->third * VECTOR);
    }
#pragma GCC unroll 18
    for (uint32_t i = 0; i < points + 2; ++i) {
        const uint8_t *const base = i < 8 ? x : x8;
        const eng_vec codes = vec_step(nth_point(base, base + d->three, d->one, d->three, d->five, i < 8 ? i : i - 8));
#pragma GCC unroll 3
        for (uint32_t j = 0; j < 3; ++j) {
            if (i >= j && i - j < points) {
                acc[i - j] = vec_dot(acc[i - j], codes, wj[j]);
            }
        }
    }
}

/* acc[point] of `points` points, the first at `at`. */
ENG_INLINE void sum_thirds(const chunk *c, const uint8_t *at, uint32_t points, eng_vec *acc)
{
    const uint32_t *const end = c->segment + c->walk.segments;
    const uint8_t *w = c->w;
    distances d = {c->point, 3 * c->point, 5 * c->point};
    for (const uint32_t *segment = c->segment; segment < end; ++segment) {
        const uint8_t *x = at + *segment;
        for (uint32_t k = c->p->third; k > 0; --k) {
            __asm__("" : "+r"(d.one), "+r"(d.three), "+r"(d.five));
            sum_thirds_step(c, x, &d, w, points, acc);
            x += c->walk.step;
            w += VECTOR;
        }
        w += 2 * (size_t)c->p->third * VECTOR;
    }
}

/* Sums in the order of the steps: of those that gcc would rather add first, some are left in memory. */
ENG_INLINE void keep_order(uint32_t sums, eng_vec *acc)
{
#pragma GCC unroll 24
    for (uint32_t i = 0; i < sums; ++i) {
        __asm__("" : "+v"(acc[i]));
    }
}

/* Without it multiples of the distances get registers of their own. */
ENG_INLINE void keep_distances(distances *d, uint32_t points)
{
    __asm__("" : "+r"(d->one), "+r"(d->three));
    if (points > 10) {
        __asm__("" : "+r"(d->five));
    }
}

/* The same as sum_raw where the last block is one of halves: two steps of the others for one of it. */
ENG_INLINE void sum_tail(const chunk *c, const uint8_t *x, uint32_t points, grouping g, eng_vec *acc)
{
    const grouping full = {.blocks = g.blocks - 1, .raw = g.raw}, halves = {.blocks = 1, .halves = true, .raw = g.raw};
    const uint8_t *w = c->w;
    const uint8_t *const end = c->w_tail + c->p->halves.run * VECTOR;
    distances d = {c->point, 3 * c->point, 5 * c->point};
    for (const uint8_t *w_tail = c->w_tail; w_tail < end; w_tail += VECTOR) {
        keep_distances(&d, points);
        sum_blocks(x, x + d.three, &d, w, points, full, g.blocks, acc);
        sum_blocks(x, x + d.three, &d, w_tail, points, halves, g.blocks, acc + full.blocks);
        x += ENG_X86_STEP;
        sum_blocks(x, x + d.three, &d, w + full.blocks * VECTOR, points, full, g.blocks, acc);
        x += ENG_X86_STEP;
        w += 2 * full.blocks * VECTOR;
    }
}

/* acc[point][block] of `points` points whose codes are not copied: one segment, its steps neighbours. */
ENG_INLINE void sum_raw(const chunk *c, const uint8_t *x, uint32_t points, grouping g, eng_vec *acc)
{
    const uint8_t *w = c->w;
    distances d = {c->point, 3 * c->point, 5 * c->point};
    for (const uint8_t *const end = w + (size_t)c->walk.run * g.blocks * VECTOR; w < end; w += g.blocks * VECTOR) {
        keep_distances(&d, points);
        sum_step(x, x + d.three, &d, w, points, g, acc);
        x += g.halves ? 2 * ENG_X86_STEP : ENG_X86_STEP;
    }
}

/* acc[point][block] of `points` points, the first at `at`. */
ENG_INLINE void sum_points(const chunk *c, const uint8_t *at, uint32_t points, grouping g, eng_vec *acc)
{
    const size_t step = c->walk.step;
    const uint8_t *w = c->w;
    distances d = {c->point, 3 * c->point, 5 * c->point};
#pragma GCC unroll 24
    for (uint32_t i = 0; i < points * g.blocks; ++i) {
        acc[i] = bias_of(c, i % g.blocks);
    }
    if (g.thirds) {
        sum_thirds(c, at, points, acc);
        return;
    }
    if (g.steps > 0) {
#pragma GCC unroll 3
        for (uint32_t i = 0; i < g.segments; ++i) {
            const uint8_t *const x = g.segments == 1 ? at : at + c->segment[i];
#pragma GCC unroll 3
            for (uint32_t k = 0; k < g.steps; ++k) {
                sum_step(x + k * step, x + k * step + d.three, &d, w, points, g, acc);
                keep_order(g.segments > 1 ? points * g.blocks : 0, acc);
                w += g.blocks * VECTOR;
            }
        }
        return;
    }
    if (g.tail) {
        sum_tail(c, at, points, g, acc);
        return;
    }
    if (g.raw) {
        sum_raw(c, at, points, g, acc);
        return;
    }
    const uint32_t *const end = c->segment + c->walk.segments;
    for (const uint32_t *segment = c->segment; segment < end; ++segment) {
        const uint8_t *x = at + *segment, *x3 = x + d.three;
        for (uint32_t k = c->walk.run; k > 0; --k) {
            keep_distances(&d, points);
            sum_step(x, x3, &d, w, points, g, acc);
            x += step;
            x3 += step;
            w += g.blocks * VECTOR;
        }
    }
}

/* acc[block] of one point whose steps are neighbours: they go round several sums, so that additions do not wait for one
 * another.
 */
ENG_INLINE void sum_one(const chunk *c, const uint8_t *at, grouping g, eng_vec *acc)
{
    const uint32_t bytes = g.halves ? 2 * ENG_X86_STEP : ENG_X86_STEP, blocks = g.blocks;
    const uint32_t splits = blocks == 1 ? 8 : blocks == 2 ? 4 : 2;
    const uint8_t *w = c->w;
    uint32_t k = 0;
#pragma GCC unroll 8
    for (uint32_t i = 0; i < splits * blocks; ++i) {
        acc[i] = i < blocks ? bias_of(c, i) : vec_zero();
    }
    for (; k + splits <= c->walk.run; k += splits) {
#pragma GCC unroll 8
        for (uint32_t i = 0; i < splits; ++i) {
            const eng_vec x = codes_at(at + i * bytes, g.halves, g.raw);
#pragma GCC unroll 4
            for (uint32_t b = 0; b < blocks; ++b) {
                acc[i * blocks + b] = vec_dot(acc[i * blocks + b], x, vec_load(w + (i * blocks + b) * VECTOR));
            }
        }
        at += splits * bytes;
        w += splits * blocks * VECTOR;
    }
    for (; k < c->walk.run; ++k) {
        const eng_vec x = codes_at(at, g.halves, g.raw);
#pragma GCC unroll 4
        for (uint32_t b = 0; b < blocks; ++b) {
            acc[b] = vec_dot(acc[b], x, vec_load(w + b * VECTOR));
        }
        at += bytes;
        w += blocks * VECTOR;
    }
#pragma GCC unroll 8
    for (uint32_t i = blocks; i < splits * blocks; ++i) {
        acc[i % blocks] = vec_add(acc[i % blocks], acc[i]);
    }
}

/* Whether a few full blocks take halves with them. */
static bool has_tail(const eng_x86_products *p, uint32_t first)
{
    return ENG_THIRDS && p->full - first <= 2 && p->full > first && p->blocks > p->full;
}

/* Blocks `first` and, at most ENG_X86_BLOCKS - 1, further ones; halves are alone but for a tail. */
static chunk chunk_of(const eng_x86_products *p, uint32_t first, bool tail)
{
    const void *const segment = (const uint8_t *)p + p->segment, *const lane = (const uint8_t *)p + p->lane;
    const bool halves = first == p->full;
    const uint32_t left = halves ? 1 : p->full - first;
    const size_t w = halves ? p->w_halves : p->w + (size_t)first * p->walk.segments * p->walk.run * VECTOR;
    const chunk c = {.p = p,
                     .walk = halves ? p->halves : p->walk,
                     .halves = halves,
                     .tail = tail,
                     .segment = segment,
                     .blocks = tail                    ? left + 1
                               : left < ENG_X86_BLOCKS ? left
                                                       : ENG_X86_BLOCKS,
                     .w = (const uint8_t *)p + w,
                     .w_tail = (const uint8_t *)p + p->w_halves,
                     .lane = (const int32_t *)lane + (size_t)first / (p->pairs ? 2 : 1) * ENG_X86_LANE * ENG_LANES,
                     .point = p->point,
                     .columns = p->columns,
                     .last_columns = p->last_columns};
    return c;
}

/* Points in groups of nearly the same size: of the first `larger` groups it is `unit` more than `size`, of the others `size`,
 * and what is left, fewer than `unit`, is a group each. */
typedef struct {
    uint32_t unit, size, larger, left;
} partition;

static partition partition_of(uint32_t points, uint32_t most, uint32_t unit)
{
    const uint32_t units = points / unit, groups = (units + most / unit - 1) / (most / unit);
    const partition g = {unit, groups == 0 ? 0 : units / groups * unit, groups == 0 ? 0 : units % groups, points % unit};
    return g;
}

/* Of group number `group`, `left` points from the last. */
ENG_INLINE uint32_t group_size(const partition *g, uint32_t group, uint32_t left)
{
    return left <= g->left ? 1 : group < g->larger ? g->size + g->unit : g->size;
}

#endif
