/* SPDX-License-Identifier: Apache-2.0 */
/* Sums that gather until they become codes; vectors as twin.h says. */
#ifndef ENG_X86_SUMS_RUN_H
#define ENG_X86_SUMS_RUN_H

#include "points_run.h"

#define MOST_GATHERED 64 /* vectors */

/* Sums of points, [point][block], whose codes go to y, `count` of each point, `step` from point to point. */
typedef struct {
    eng_x86_rounding rounding;
    const eng_output_s8 *output;
    const eng_x86_clamp *clamp;
    const int32_t *lane; /* of the first block */
    uint32_t blocks, count;
    size_t step;
    int8_t *y; /* of the first point that waits */
    uint32_t points;
    eng_vec *v; /* MOST_GATHERED, and MOST_ACCS that may be written beyond */
} sums;

/* Where the codes of the chunk's sums go, the first output's at y, `step` codes from point to point. */
static sums sums_of(const chunk *c, uint32_t first, size_t step, int8_t *y)
{
    const uint32_t output = first / (c->p->pairs ? 2 : 1) * ENG_LANES, blocks = c->blocks / (c->p->pairs ? 2 : 1);
    const uint32_t left = c->p->out - output;
    const sums s = {.rounding = c->p->rounding,
                    .output = &c->p->y,
                    .clamp = &c->p->clamp,
                    .lane = c->lane,
                    .blocks = blocks,
                    .count = left < blocks * ENG_LANES ? left : blocks * ENG_LANES,
                    .step = step,
                    .y = y + output};
    return s;
}

/* Constants of all blocks. */
typedef struct {
    eng_quick quick[4];
    eng_limits limits;
} block_constants;

ENG_INLINE block_constants constants_of(const sums *s, uint32_t blocks, eng_x86_rounding loops)
{
    block_constants k = {.limits = vec_limits(s->clamp, s->count, false)};
#pragma GCC unroll 4
    for (uint32_t b = 0; b < blocks; ++b) {
        k.quick[b] = quick_constants(s->lane + (size_t)b * ENG_X86_LANE * ENG_LANES, loops);
    }
    return k;
}

/* Codes of vector v, not yet clamped. */
ENG_INLINE eng_vec codes_of(const sums *s, const eng_vec *v, const block_constants *k, uint32_t block, eng_x86_rounding loops)
{
    const int32_t *const lane = s->lane + (size_t)block * ENG_X86_LANE * ENG_LANES;
    return rounded(vec_load(v), &k->quick[block], lane, loops, s->rounding, s->output);
}

/* Points that fill their blocks and lie next to each other: any four vectors do. */
ENG_INLINE uint32_t store_quads(const sums *s, const block_constants *k, uint32_t blocks, eng_x86_rounding loops)
{
    const uint32_t set = blocks == 3 ? 12 : 4, vectors = s->points * blocks / set * set;
    const eng_vec *v = s->v;
    int8_t *y = s->y;
    for (const eng_vec *const end = v + vectors; v < end; v += set) {
#pragma GCC unroll 3
        for (uint32_t i = 0; i < set; i += 4) {
            eng_vec four[4];
#pragma GCC unroll 4
            for (uint32_t j = 0; j < 4; ++j) {
                four[j] = codes_of(s, v + i + j, k, (i + j) % blocks, loops);
            }
            vec_store_full(four, &k->limits, y + i * ENG_LANES);
        }
        y += set * ENG_LANES;
    }
    return vectors / blocks;
}

/* One point after another, from point `first` on; the last one has `last` codes. */
ENG_INLINE void store_points(const sums *s, const block_constants *k, uint32_t first, uint32_t blocks, uint32_t last,
                             eng_x86_rounding loops)
{
    const eng_vec *v = s->v + first * blocks;
    int8_t *y = s->y + first * s->step;
    for (uint32_t i = first; i < s->points; ++i) {
        const uint32_t count = i + 1 < s->points ? s->count : last;
        const bool all = count == s->count || count == 0; /* of none nothing is written */
        const eng_limits limits = all ? k->limits : vec_limits(s->clamp, count, false);
        if (blocks == 1 && count > 0) {
            vec_store(codes_of(s, v, k, 0, loops), &limits, y);
        } else if (count > 0) {
            eng_vec four[4];
#pragma GCC unroll 4
            for (uint32_t b = 0; b < 4; ++b) {
                four[b] = b < blocks ? codes_of(s, v + b, k, b, loops) : four[0];
            }
            vec_store_four(four, &limits, y);
        }
        v += blocks;
        y += s->step;
    }
}

ENG_INLINE void store_blocks(const sums *s, uint32_t blocks, uint32_t last, eng_x86_rounding loops)
{
    const block_constants k = constants_of(s, blocks, loops);
    const bool dense = s->step == blocks * ENG_LANES && s->count == s->step && last == s->count;
    store_points(s, &k, dense ? store_quads(s, &k, blocks, loops) : 0, blocks, last, loops);
}

ENG_INLINE void store_any(const sums *s, uint32_t last, eng_x86_rounding loops)
{
    switch (s->blocks) {
    case 1:
        store_blocks(s, 1, last, loops);
        break;
    case 2:
        store_blocks(s, 2, last, loops);
        break;
    case 3:
        store_blocks(s, 3, last, loops);
        break;
    default:
        store_blocks(s, 4, last, loops);
        break;
    }
}

static __attribute__((noinline)) void store_sums(const sums *s, uint32_t last)
{
#define STORE(form) store_any(s, last, form)
    ANY_ROUNDING(s->rounding, STORE)
#undef STORE
}

/* Those that wait become codes, of the last point `last`. */
static void sums_flush(sums *s, uint32_t last)
{
    if (s->points > 0) {
        store_sums(s, last);
    }
    s->y += s->points * s->step;
    s->points = 0;
}

/* Room for the sums of `points` more points. */
static eng_vec *sums_room(sums *s, uint32_t points)
{
    if ((s->points + points) * s->blocks > MOST_GATHERED) {
        sums_flush(s, s->count);
    }
    eng_vec *const room = s->v + (size_t)s->points * s->blocks;
    s->points += points;
    return room;
}

static void sums_end(sums *s)
{
    sums_flush(s, s->count);
}

/* The point added last has `last` codes only, and the next one's go to y. */
static void sums_end_row(sums *s, uint32_t last, int8_t *y)
{
    sums_flush(s, last);
    s->y = y;
}

#endif
