/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over the packed form of planes.h, for AVX-512; vectors as twin.h says. */
#ifndef ENG_X86_PLANES_RUN_H
#define ENG_X86_PLANES_RUN_H

#include "planes.h"
#include "twin.h"

#define PLANES    ENG_X86_PLANES
#define MOST_TILE 2 /* blocks that are summed together */

/* What is constant where loops are for one stride. `packed` rows of a pass have weights, `together` of them are computed. */
typedef struct {
    uint32_t steps, columns, packed, together, tile;
    bool saturates;
} planes_kernel;

/* Passes over mixed rows. */
typedef struct {
    const eng_x86_planes *p;
    uint32_t count;
    const uint8_t *mixed; /* of the first pass */
    eng_vec *words;       /* of the first two planes, [pass][row of the pass][block] */
    int8_t *y;            /* of the first pass's first row */
} planes_passes;

/* Two planes' weights and constants, for registers to hold. */
typedef struct {
    eng_vec w[ENG_X86_PLANE_STEPS][2][2]; /* [step][plane][row of the pass] */
    eng_vec bias[2];
    eng_quick quick[2];
    const int32_t *lane;
} two_planes;

/* Where a pass's steps and results are, and what its loops would otherwise load again after every store. */
typedef struct {
    const eng_x86_planes *p;
    size_t apart, row, words_row; /* bytes between blocks of one place, codes of an output row, vectors of words of one */
    const uint8_t *from[ENG_X86_PLANE_STEPS][2];
    eng_vec *words;
    int8_t *y;
} planes_rows;

ENG_INLINE two_planes planes_of(const eng_x86_planes *p, planes_kernel k, uint32_t plane, eng_x86_rounding loops)
{
    const void *const lanes = (const uint8_t *)p + p->lane;
    two_planes known;
    known.lane = (const int32_t *)lanes + (size_t)plane * ENG_X86_LANE * ENG_LANES;
#pragma GCC unroll 2
    for (uint32_t j = 0; j < 2; ++j) {
        const int32_t *const lane = known.lane + (size_t)j * ENG_X86_LANE * ENG_LANES;
        const uint8_t *const w = (const uint8_t *)p + p->w + (size_t)(plane + j) * k.steps * k.packed * VECTOR;
        known.bias[j] = vec_load(lane);
        known.quick[j] = quick_constants(lane, loops);
#pragma GCC unroll 4
        for (uint32_t t = 0; t < k.steps; ++t) {
#pragma GCC unroll 2
            for (uint32_t r = 0; r < k.together; ++r) {
                known.w[t][j][r] = vec_load(w + (t * k.packed + r) * VECTOR);
            }
        }
    }
    return known;
}

ENG_INLINE planes_rows first_rows(const planes_passes *s, planes_kernel k, uint32_t first)
{
    planes_rows rows = {.p = s->p,
                        .apart = s->p->period * VECTOR,
                        .row = s->p->row_codes,
                        .words_row = s->p->blocks,
                        .words = s->words,
                        .y = s->y};
#pragma GCC unroll 4
    for (uint32_t t = 0; t < k.steps; ++t) {
#pragma GCC unroll 2
        for (uint32_t j = 0; j < 2; ++j) {
            rows.from[t][j] = s->mixed + t / k.columns * PLANES * s->p->plane + s->p->step[t][first + j];
        }
    }
    return rows;
}

ENG_INLINE void next_rows(planes_kernel k, planes_rows *rows)
{
    const eng_x86_planes *const p = rows->p;
    rows->words += k.together * rows->words_row;
    rows->y += k.together * rows->row;
#pragma GCC unroll 4
    for (uint32_t t = 0; t < k.steps; ++t) {
#pragma GCC unroll 2
        for (uint32_t j = 0; j < 2; ++j) {
            rows->from[t][j] += PLANES * p->plane;
        }
    }
}

/* Words of two planes' codes, [row of the pass][block]. */
ENG_INLINE void sum_planes(const planes_rows *s, planes_kernel k, const two_planes *known, uint32_t blocks, size_t at,
                           eng_x86_rounding loops, eng_vec (*words)[MOST_TILE])
{
    eng_vec acc[2][MOST_TILE][2];
#pragma GCC unroll 2
    for (uint32_t j = 0; j < 2; ++j) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < blocks; ++i) {
#pragma GCC unroll 2
            for (uint32_t r = 0; r < k.together; ++r) {
                acc[r][i][j] = known->bias[j];
            }
        }
#pragma GCC unroll 4
        for (uint32_t t = 0; t < k.steps; ++t) {
#pragma GCC unroll 4
            for (uint32_t i = 0; i < blocks; ++i) {
                const eng_vec steps = vec_load_any(s->from[t][j] + at + i * s->apart);
#pragma GCC unroll 2
                for (uint32_t r = 0; r < k.together; ++r) {
                    acc[r][i][j] = vec_dot(acc[r][i][j], steps, known->w[t][j][r]);
                }
            }
        }
    }
#pragma GCC unroll 2
    for (uint32_t r = 0; r < k.together; ++r) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < blocks; ++i) {
#pragma GCC unroll 2
            for (uint32_t j = 0; j < 2; ++j) {
                const int32_t *const lane = known->lane + (size_t)j * ENG_X86_LANE * ENG_LANES;
                acc[r][i][j] = rounded(acc[r][i][j], known->quick + j, lane, loops, s->p->rounding, &s->p->y);
            }
            words[r][i] = _mm512_packs_epi32(acc[r][i][0], acc[r][i][1]);
        }
    }
}

/* The first two planes' words are kept, the last two's become codes with them. whole: no block is the row's end. */
ENG_INLINE void run_tile(const planes_rows *s, planes_kernel k, const two_planes *known, bool last, uint32_t blocks, bool whole,
                         size_t at, const eng_limits *limits, eng_x86_rounding loops)
{
    eng_vec words[2][MOST_TILE];
    sum_planes(s, k, known, blocks, at, loops, words);
#pragma GCC unroll 2
    for (uint32_t r = 0; r < k.together; ++r) {
        eng_vec *const kept = s->words + r * s->words_row;
#pragma GCC unroll 4
        for (uint32_t i = 0; i < blocks; ++i) {
            const size_t to = at + i * s->apart;
            if (!last) {
                vec_keep(kept + to / VECTOR, words[r][i]);
                continue;
            }
            const eng_vec codes = clamped(_mm512_packs_epi16(vec_load(kept + to / VECTOR), words[r][i]), limits);
            vec_store_some(codes, whole ? VECTOR : s->row - to, s->y + r * s->row + to);
        }
    }
}

ENG_INLINE void run_two_planes(const planes_passes *s, planes_kernel k, bool last, uint32_t place, const eng_limits *limits,
                               eng_x86_rounding loops)
{
    const uint32_t first = last ? 2 : 0;
    const two_planes known = planes_of(s->p, k, place * PLANES + first, loops);
    planes_rows rows = first_rows(s, k, first);
    for (uint32_t n = 0; n < s->count; ++n) {
        size_t at = place * VECTOR;
        for (; at + (k.tile - 1) * rows.apart + VECTOR <= rows.row; at += k.tile * rows.apart) {
            run_tile(&rows, k, &known, last, k.tile, true, at, limits, loops);
        }
        for (; at < rows.row; at += rows.apart) {
            run_tile(&rows, k, &known, last, 1, false, at, limits, loops);
        }
        next_rows(k, &rows);
    }
}

ENG_INLINE void run_passes_of_planes(const planes_passes *s, planes_kernel k, eng_x86_rounding loops)
{
    const eng_limits limits = vec_limits(&s->p->clamp, ENG_LANES, k.saturates);
    for (uint32_t place = 0; place < s->p->period; ++place) {
        run_two_planes(s, k, false, place, &limits, loops);
        run_two_planes(s, k, true, place, &limits, loops);
    }
}

static __attribute__((noinline)) void any_passes_of_planes(const planes_passes *s, uint32_t together)
{
#define PASSES(form, saturates)                                                                                                \
    if (s->p->stride == 2) {                                                                                                   \
        run_passes_of_planes(s, (planes_kernel){4, 2, 1, 1, 2, saturates}, form);                                              \
    } else if (together == 2) {                                                                                                \
        run_passes_of_planes(s, (planes_kernel){3, 3, 2, 2, 1, saturates}, form);                                              \
    } else {                                                                                                                   \
        run_passes_of_planes(s, (planes_kernel){3, 3, 2, 1, 1, saturates}, form);                                              \
    }
    if (s->p->rounding == ENG_X86_BRIEF && eng_x86_saturates(&s->p->clamp)) {
        PASSES(ENG_X86_BRIEF, true)
    } else if (s->p->rounding == ENG_X86_BRIEF) {
        PASSES(ENG_X86_BRIEF, false)
    } else if (s->p->rounding == ENG_X86_BRIEF_SIGNED) {
        PASSES(ENG_X86_BRIEF_SIGNED, false)
    } else {
        PASSES(ENG_X86_DOUBLE, false)
    }
#undef PASSES
}

/* A row of the padded image, its first code of padding included. */
ENG_INLINE const int8_t *padded_row(const eng_x86_planes *p, const int8_t *x, uint32_t row)
{
    const void *const padding = (const uint8_t *)p + p->padding;
    return row >= p->top && row - p->top < p->in_h ? x + (row - p->top) * p->x_row - p->left : padding;
}

ENG_INLINE eng_vec plane_codes(const eng_x86_plane_block *b, uint32_t phase, const int8_t *row, bool whole, eng_vec padding)
{
    const int8_t *const x = row + b->first[phase];
    const __m512i codes = whole ? _mm512_loadu_si512(x) : _mm512_mask_loadu_epi8(padding, b->inside[phase], x);
    return _mm512_xor_si512(codes, _mm512_set1_epi8(INT8_MIN));
}

/* A block's steps, made of codes of four sources. */
ENG_INLINE void mix_block(const eng_vec *v, size_t plane, uint8_t *mixed)
{
    const __m512i ab = _mm512_unpacklo_epi8(v[0], v[1]), cd = _mm512_unpacklo_epi8(v[2], v[3]);
    const __m512i ab_high = _mm512_unpackhi_epi8(v[0], v[1]), cd_high = _mm512_unpackhi_epi8(v[2], v[3]);
    vec_keep((void *)mixed, _mm512_unpacklo_epi16(ab, cd));
    vec_keep((void *)(mixed + plane), _mm512_unpackhi_epi16(ab, cd));
    vec_keep((void *)(mixed + 2 * plane), _mm512_unpacklo_epi16(ab_high, cd_high));
    vec_keep((void *)(mixed + 3 * plane), _mm512_unpackhi_epi16(ab_high, cd_high));
}

/* A block of four rows. */
ENG_INLINE void mix_four_rows(const eng_x86_planes *p, const eng_x86_plane_block *b, const int8_t *const *row, bool whole,
                              eng_vec padding, uint8_t *mixed)
{
    const eng_vec v[4] = {plane_codes(b, 0, row[0], whole, padding), plane_codes(b, 0, row[1], whole, padding),
                          plane_codes(b, 0, row[2], whole, padding), plane_codes(b, 0, row[3], whole, padding)};
    mix_block(v, p->plane, mixed);
}

/* Pixels of even columns, then those of odd ones, of codes of `channels` each. */
ENG_INLINE void part_pixels(uint32_t channels, const eng_vec *codes, eng_vec *parts)
{
    const eng_vec a = codes[0], b = codes[1];
    parts[0] = channels == 16 ? _mm512_shuffle_i64x2(a, b, 0x88) : channels == 32 ? _mm512_shuffle_i64x2(a, b, 0x44) : a;
    parts[1] = channels == 16 ? _mm512_shuffle_i64x2(a, b, 0xdd) : channels == 32 ? _mm512_shuffle_i64x2(a, b, 0xee) : b;
}

/* A block of pairs of pixels of two rows. */
ENG_INLINE void mix_pairs(const eng_x86_planes *p, const eng_x86_plane_block *b, const int8_t *const *row, uint32_t channels,
                          bool whole, eng_vec padding, uint8_t *mixed)
{
    const eng_vec v[4] = {plane_codes(b, 0, row[0], whole, padding), plane_codes(b, 1, row[0], whole, padding),
                          plane_codes(b, 0, row[1], whole, padding), plane_codes(b, 1, row[1], whole, padding)};
    eng_vec parts[4];
    part_pixels(channels, v, parts);
    part_pixels(channels, v + 2, parts + 2);
    mix_block(parts, p->plane, mixed);
}

/* Rows from row 2 * m of the padded image on; channels: those of pairs of pixels, 0 where the stride is one. */
ENG_INLINE void mix_blocks(const eng_x86_planes *p, uint32_t channels, const int8_t *x, uint32_t m, uint8_t *mixed)
{
    const void *const blocks = (const uint8_t *)p + p->block;
    const eng_x86_plane_block *b = blocks;
    const eng_vec padding = vec_load((const uint8_t *)p + p->padding);
    const int8_t *const row[4] = {padded_row(p, x, 2 * m), padded_row(p, x, 2 * m + 1),
                                  channels == 0 ? padded_row(p, x, 2 * m + 2) : NULL,
                                  channels == 0 ? padded_row(p, x, 2 * m + 3) : NULL};
    for (const eng_x86_plane_block *const end = b + p->blocks; b < end; ++b) {
        const bool whole = (b->inside[0] & (channels == 0 ? UINT64_MAX : b->inside[1])) == UINT64_MAX;
        if (channels == 0 && whole) {
            mix_four_rows(p, b, row, true, padding, mixed);
        } else if (channels == 0) {
            mix_four_rows(p, b, row, false, padding, mixed);
        } else if (whole) {
            mix_pairs(p, b, row, channels, true, padding, mixed);
        } else {
            mix_pairs(p, b, row, channels, false, padding, mixed);
        }
        mixed += VECTOR;
    }
}

static void mix_planes(const eng_x86_planes *p, const int8_t *x, uint32_t m, uint8_t *mixed)
{
    if (p->stride == 1) {
        mix_blocks(p, 0, x, m, mixed);
    } else if (p->channels == 16) {
        mix_blocks(p, 16, x, m, mixed);
    } else if (p->channels == 32) {
        mix_blocks(p, 32, x, m, mixed);
    } else {
        mix_blocks(p, 64, x, m, mixed);
    }
}

/* Mixed rows are mixed as many at once as are kept, so that weights are loaded once for all of them. */
static void run_planes(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_planes *const p = packed;
    const void *const x = arena + l->x;
    void *const y = arena + l->y, *const words = scratch;
    uint8_t *const mixed = scratch + p->words;
    const uint32_t reach = p->stride - 1, whole = p->rows / p->together, passes = whole + p->rows % p->together;
    for (uint32_t from = 0, count; from < passes; from += count) {
        const uint32_t most = from < whole ? whole - from : 1, together = from < whole ? p->together : 1;
        count = most < p->band - reach ? most : p->band - reach;
        for (uint32_t n = 0; n < count + reach; ++n) {
            mix_planes(p, x, from + n, mixed + n * PLANES * p->plane);
        }
        const planes_passes s = {p, count, mixed, words, (int8_t *)y + (size_t)from * p->together * p->row_codes};
        any_passes_of_planes(&s, together);
    }
}

#endif
