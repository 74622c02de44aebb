/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over the packed form of planes.h, for AVX-512; vectors as twin.h says. */
#ifndef ENG_X86_PLANES_RUN_H
#define ENG_X86_PLANES_RUN_H

#include "planes.h"
#include "twin.h"

#define PLANES ENG_X86_PLANES

/* What is constant where loops are for one stride: `taps` steps of an output row, `columns` of them of a mixed row. Rows of a
 * pass, `together` of them, have weights of their own in the same steps, of which `packed` rows lie together, or the same ones
 * `columns` steps later. */
typedef struct {
    uint32_t taps, columns, packed, together, later;
    bool saturates;
} planes_kernel;

/* Passes over mixed rows. */
typedef struct {
    const eng_x86_planes *p;
    uint32_t count;
    const uint8_t *mixed; /* of the first pass */
    eng_vec *words;       /* of the first two planes, [output row][block] */
    int8_t *y;            /* of the first pass's first row */
} planes_passes;

/* Two planes' weights and constants, for registers to hold. */
typedef struct {
    eng_vec w[ENG_X86_PLANE_STEPS][2][2]; /* [tap][plane][row of the pass] */
    eng_vec bias[2];
    eng_quick quick[2];
    const int32_t *lane;
} two_planes;

/* Where a pass's steps and results are, and what its loops would otherwise load again after every store. */
typedef struct {
    const eng_x86_planes *p;
    size_t apart, mixed, row,
        words_row; /* bytes between blocks of one place and between mixed rows, codes and words of a row */
    const uint8_t *from[ENG_X86_PLANE_COLUMNS][2];
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
        const uint8_t *const w = (const uint8_t *)p + p->w + (size_t)(plane + j) * k.taps * k.packed * VECTOR;
        known.bias[j] = vec_load(lane);
        known.quick[j] = quick_constants(lane, loops);
#pragma GCC unroll 4
        for (uint32_t t = 0; t < k.taps; ++t) {
#pragma GCC unroll 2
            for (uint32_t r = 0; r < k.packed; ++r) {
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
                        .mixed = PLANES * s->p->plane,
                        .row = s->p->row_codes,
                        .words_row = s->p->blocks,
                        .words = s->words,
                        .y = s->y};
#pragma GCC unroll 4
    for (uint32_t c = 0; c < k.columns; ++c) {
#pragma GCC unroll 2
        for (uint32_t j = 0; j < 2; ++j) {
            rows.from[c][j] = s->mixed + s->p->step[c][first + j];
        }
    }
    return rows;
}

ENG_INLINE void next_rows(planes_kernel k, planes_rows *rows)
{
    rows->words += k.together * rows->words_row;
    rows->y += k.together * rows->row;
#pragma GCC unroll 3
    for (uint32_t c = 0; c < k.columns; ++c) {
#pragma GCC unroll 2
        for (uint32_t j = 0; j < 2; ++j) {
            rows->from[c][j] += rows->mixed * (k.later > 0 ? k.together : 1);
        }
    }
}

/* Words of two planes' codes of a block, [row of the pass]. */
ENG_INLINE void sum_planes(const planes_rows *s, planes_kernel k, const two_planes *known, size_t at, eng_x86_rounding loops,
                           eng_vec *words)
{
    const uint32_t steps = k.taps + (k.together - 1) * k.later;
    eng_vec acc[2][2]; /* [plane][row of the pass] */
#pragma GCC unroll 2
    for (uint32_t j = 0; j < 2; ++j) {
#pragma GCC unroll 2
        for (uint32_t r = 0; r < k.together; ++r) {
            acc[j][r] = known->bias[j];
        }
#pragma GCC unroll 6
        for (uint32_t t = 0; t < steps; ++t) {
            const eng_vec codes = vec_load_any(s->from[t % k.columns][j] + (at + t / k.columns * s->mixed));
#pragma GCC unroll 2
            for (uint32_t r = 0; r < k.together; ++r) {
                const uint32_t tap = t - r * k.later; /* wraps if before the row's first */
                if (tap < k.taps) {
                    acc[j][r] = vec_dot(acc[j][r], codes, known->w[tap][j][k.later > 0 ? 0 : r]);
                }
            }
        }
    }
#pragma GCC unroll 2
    for (uint32_t r = 0; r < k.together; ++r) {
#pragma GCC unroll 2
        for (uint32_t j = 0; j < 2; ++j) {
            const int32_t *const lane = known->lane + (size_t)j * ENG_X86_LANE * ENG_LANES;
            acc[j][r] = rounded(acc[j][r], known->quick + j, lane, loops, s->p->rounding, &s->p->y);
        }
        words[r] = _mm512_packs_epi32(acc[0][r], acc[1][r]);
    }
}

/* The first two planes' words are kept, the last two's become codes with them. whole: the block is not the row's end. */
ENG_INLINE void run_block(const planes_rows *s, planes_kernel k, const two_planes *known, bool last, bool whole, size_t at,
                          const eng_limits *limits, eng_x86_rounding loops)
{
    eng_vec words[2];
    sum_planes(s, k, known, at, loops, words);
#pragma GCC unroll 2
    for (uint32_t r = 0; r < k.together; ++r) {
        eng_vec *const kept = s->words + r * s->words_row + at / VECTOR;
        if (last) {
            const eng_vec codes = clamped(_mm512_packs_epi16(vec_load(kept), words[r]), limits);
            vec_store_some(codes, whole ? VECTOR : s->row - at, s->y + r * s->row + at);
        } else {
            vec_keep(kept, words[r]);
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
        for (; at + VECTOR <= rows.row; at += rows.apart) {
            run_block(&rows, k, &known, last, true, at, limits, loops);
        }
        if (at < rows.row) {
            run_block(&rows, k, &known, last, false, at, limits, loops);
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

/* Functions of their own for all forms: in one with all loops gcc 12 would not keep weights in registers. */
#define PASSES(name, form, ...)                                                                                                \
    static __attribute__((noinline)) void name(const planes_passes *s)                                                         \
    {                                                                                                                          \
        run_passes_of_planes(s, (planes_kernel){__VA_ARGS__}, form);                                                           \
    }

#define ALL_PASSES(name, ...)                                                                                                  \
    PASSES(name##_saturated, ENG_X86_BRIEF, __VA_ARGS__, true)                                                                 \
    PASSES(name##_brief, ENG_X86_BRIEF, __VA_ARGS__, false)                                                                    \
    PASSES(name##_signed, ENG_X86_BRIEF_SIGNED, __VA_ARGS__, false)                                                            \
    PASSES(name##_quick, ENG_X86_QUICK, __VA_ARGS__, false)                                                                    \
    PASSES(name##_any, ENG_X86_DOUBLE, __VA_ARGS__, false)                                                                     \
    static void name(const planes_passes *s)                                                                                   \
    {                                                                                                                          \
        if (s->p->rounding == ENG_X86_BRIEF && eng_x86_saturates(&s->p->clamp)) {                                              \
            name##_saturated(s);                                                                                               \
        } else if (s->p->rounding == ENG_X86_BRIEF) {                                                                          \
            name##_brief(s);                                                                                                   \
        } else if (s->p->rounding == ENG_X86_BRIEF_SIGNED) {                                                                   \
            name##_signed(s);                                                                                                  \
        } else if (s->p->rounding == ENG_X86_QUICK) {                                                                          \
            name##_quick(s);                                                                                                   \
        } else {                                                                                                               \
            name##_any(s);                                                                                                     \
        }                                                                                                                      \
    }

ALL_PASSES(run_row_pairs, 3, 3, 2, 2, 0)
ALL_PASSES(run_last_row, 3, 3, 2, 1, 0)
ALL_PASSES(run_strided_row_pairs, 4, 2, 1, 2, 2)
ALL_PASSES(run_last_strided_row, 4, 2, 1, 1, 2)
#undef ALL_PASSES
#undef PASSES

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

/* Codes of two sources, interleaved. */
typedef struct {
    eng_vec low, high;
} two_sources;

ENG_INLINE two_sources interleave_two(eng_vec a, eng_vec b)
{
    const two_sources both = {_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b)};
    return both;
}

/* A block's steps, made of codes of four sources. */
ENG_INLINE void mix_block(two_sources a, two_sources b, size_t plane, uint8_t *mixed)
{
    vec_keep((void *)mixed, _mm512_unpacklo_epi16(a.low, b.low));
    vec_keep((void *)(mixed + plane), _mm512_unpackhi_epi16(a.low, b.low));
    vec_keep((void *)(mixed + 2 * plane), _mm512_unpacklo_epi16(a.high, b.high));
    vec_keep((void *)(mixed + 3 * plane), _mm512_unpackhi_epi16(a.high, b.high));
}

/* A block of `count` mixed rows, of four rows each: the last two are the next one's first two. */
ENG_INLINE void mix_fours(const eng_x86_planes *p, const eng_x86_plane_block *b, const int8_t *const *row, uint32_t count,
                          bool whole, eng_vec padding, uint8_t *mixed)
{
    const size_t plane = p->plane;
    two_sources above = interleave_two(plane_codes(b, 0, row[0], whole, padding), plane_codes(b, 0, row[1], whole, padding));
    for (uint32_t n = 0; n < count; ++n) {
        row += 2;
        const two_sources below =
            interleave_two(plane_codes(b, 0, row[0], whole, padding), plane_codes(b, 0, row[1], whole, padding));
        mix_block(above, below, plane, mixed);
        mixed += PLANES * plane;
        above = below;
    }
}

/* Pixels of even columns, then those of odd ones, of codes of `channels` each. */
ENG_INLINE void part_pixels(uint32_t channels, const eng_vec *codes, eng_vec *parts)
{
    const eng_vec a = codes[0], b = codes[1];
    parts[0] = channels == 16 ? _mm512_shuffle_i64x2(a, b, 0x88) : channels == 32 ? _mm512_shuffle_i64x2(a, b, 0x44) : a;
    parts[1] = channels == 16 ? _mm512_shuffle_i64x2(a, b, 0xdd) : channels == 32 ? _mm512_shuffle_i64x2(a, b, 0xee) : b;
}

/* Pairs of pixels of a row. */
ENG_INLINE two_sources pixel_pairs(const eng_x86_plane_block *b, uint32_t channels, const int8_t *row, bool whole,
                                   eng_vec padding)
{
    const eng_vec codes[2] = {plane_codes(b, 0, row, whole, padding), plane_codes(b, 1, row, whole, padding)};
    eng_vec parts[2];
    part_pixels(channels, codes, parts);
    return interleave_two(parts[0], parts[1]);
}

/* A block of `count` mixed rows, of two rows each. */
ENG_INLINE void mix_pairs(const eng_x86_planes *p, const eng_x86_plane_block *b, const int8_t *const *row, uint32_t count,
                          uint32_t channels, bool whole, eng_vec padding, uint8_t *mixed)
{
    const size_t plane = p->plane;
    for (uint32_t n = 0; n < count; ++n) {
        mix_block(pixel_pairs(b, channels, row[0], whole, padding), pixel_pairs(b, channels, row[1], whole, padding), plane,
                  mixed);
        mixed += PLANES * plane;
        row += 2;
    }
}

/* `count` mixed rows from row[0] on; channels: those of pairs of pixels, 0 where the stride is one. */
ENG_INLINE void mix_blocks(const eng_x86_planes *p, uint32_t channels, const int8_t *const *row, uint32_t count, uint8_t *mixed)
{
    const void *const blocks = (const uint8_t *)p + p->block;
    const eng_x86_plane_block *b = blocks;
    const eng_vec padding = vec_load((const uint8_t *)p + p->padding);
    for (const eng_x86_plane_block *const end = b + p->blocks; b < end; ++b) {
        const bool whole = (b->inside[0] & (channels == 0 ? UINT64_MAX : b->inside[1])) == UINT64_MAX;
        if (channels == 0 && whole) {
            mix_fours(p, b, row, count, true, padding, mixed);
        } else if (channels == 0) {
            mix_fours(p, b, row, count, false, padding, mixed);
        } else if (whole) {
            mix_pairs(p, b, row, count, channels, true, padding, mixed);
        } else {
            mix_pairs(p, b, row, count, channels, false, padding, mixed);
        }
        mixed += VECTOR;
    }
}

/* `count` mixed rows from number m on. */
static void mix_planes(const eng_x86_planes *p, const int8_t *x, uint32_t m, uint32_t count, uint8_t *mixed)
{
    const int8_t *row[2 * ENG_X86_PLANE_BAND + 2];
    for (uint32_t i = 0; i < 2 * count + 2; ++i) {
        row[i] = padded_row(p, x, 2 * m + i);
    }
    if (p->stride == 1) {
        mix_blocks(p, 0, row, count, mixed);
    } else if (p->channels == 16) {
        mix_blocks(p, 16, row, count, mixed);
    } else if (p->channels == 32) {
        mix_blocks(p, 32, row, count, mixed);
    } else {
        mix_blocks(p, 64, row, count, mixed);
    }
}

/* Mixed rows are mixed as many at once as are kept, so that weights are loaded once for all of them. */
static void run_planes(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_planes *const p = packed;
    const void *const x = arena + l->x;
    void *const y = arena + l->y, *const words = scratch;
    uint8_t *const mixed = scratch + p->words;
    const uint32_t most = p->stride == 1 ? p->band : (p->band - 1) / 2; /* passes */
    for (uint32_t row = 0, many, together; row < p->rows; row += many * together) {
        const uint32_t pairs = (p->rows - row) / 2;
        together = pairs > 0 ? 2 : 1;
        many = pairs == 0 ? 1 : pairs < most ? pairs : most;
        const uint32_t first = p->stride == 1 ? row / 2 : row, count = p->stride == 1 ? many : many * together + 1;
        mix_planes(p, x, first, count, mixed);
        const planes_passes s = {p, many, mixed, words, (int8_t *)y + (size_t)row * p->row_codes};
        if (p->stride == 1) {
            together == 2 ? run_row_pairs(&s) : run_last_row(&s);
        } else {
            together == 2 ? run_strided_row_pairs(&s) : run_last_strided_row(&s);
        }
    }
}

#endif
