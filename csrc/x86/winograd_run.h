/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over a packed form of 3 x 3 convolutions as winograd.h says; vectors as twin.h says, and
 *   ENG_ROWS                         points of a column that share a pass: their sums for all tiles of a group fit registers
 *   ENG_SHUFFLED                     of a group's tiles, how many have their pairs spread by shuffles, not by loads
 *   vec_widen(x)                     codes as int16, a vector of them
 *   vec_chunks(at)                   a chunk of channels of each tile that fits a vector, at[0] the first one's
 *   vec_pairs(p)                     the four pairs at p in every four lanes
 *   vec_dot_pair(acc, w, pairs, i)   acc + products of pair number i and weights, modulo 2^32
 *   vec_dot_at(acc, w, p)            the same of the pair at p */
#ifndef ENG_X86_WINOGRAD_RUN_H
#define ENG_X86_WINOGRAD_RUN_H

#include "twin.h"
#include "winograd.h"

#define CHUNKS (ENG_LANES / 8) /* in a vector */
#define GROUP  ((size_t)ENG_X86_TILES * ENG_X86_CHUNK)

/* Vectors whose elements wrap. */
typedef uint16_t eng_halves __attribute__((vector_size(4 * ENG_LANES)));
typedef uint32_t eng_words __attribute__((vector_size(4 * ENG_LANES)));
typedef int32_t eng_signed_words __attribute__((vector_size(4 * ENG_LANES)));

/* A tile: its lines, the first point of columns', its first output, and how many of these there are. */
typedef struct {
    const int16_t *lines;
    int8_t *y;
    uint32_t rows, columns;
} tile;

/* B of winograd.h. */
ENG_INLINE void transform_codes(const eng_halves *d, eng_halves *v)
{
    const eng_halves even = d[4] - (d[2] << 2), odd = d[3] - (d[1] << 2);
    const eng_halves outer = d[4] - d[2], inner = d[3] - d[1], twice = inner + inner;
    v[0] = ((d[0] - d[2]) << 2) + outer;
    v[1] = even + odd;
    v[2] = even - odd;
    v[3] = outer + twice;
    v[4] = outer - twice;
    v[5] = d[5] - d[3] - (twice + twice);
}

/* A of winograd.h. */
ENG_INLINE void transform_sums(const eng_words *m, eng_words *y)
{
    const eng_words even = m[1] + m[2], odd = m[1] - m[2], even2 = m[3] + m[4], odd2 = m[3] - m[4], both = odd + odd2;
    y[0] = m[0] + even2 + (even << 2);
    y[1] = both + odd;
    y[2] = even + even2;
    y[3] = both + odd2 + m[5];
}

/* Lines of a row of tiles. They are written beyond neither end of x's pixels: the last vector may overlap the one before. */
static __attribute__((noinline)) void fill_lines(const eng_x86_winograd *p, const int8_t *x, const int8_t *padding,
                                                 uint32_t tile_row, int16_t *lines)
{
    const size_t unit = 2 * ENG_LANES, line = p->line, codes = p->x_row;
    const int8_t *rows[ENG_X86_POINTS];
    for (uint32_t i = 0; i < ENG_X86_POINTS; ++i) {
        const uint32_t row = tile_row * ENG_X86_TILE + i - p->top; /* wraps above the image */
        rows[i] = row < p->x_h ? x + row * codes : padding;
    }
    lines += p->first;
    for (size_t k = 0; k < codes; k += unit) {
        const size_t at = k + unit <= codes ? k : codes - unit;
        eng_halves d[ENG_X86_POINTS], v[ENG_X86_POINTS];
#pragma GCC unroll 6
        for (uint32_t i = 0; i < ENG_X86_POINTS; ++i) {
            d[i] = (eng_halves)vec_widen(rows[i] + at);
        }
        transform_codes(d, v);
#pragma GCC unroll 6
        for (uint32_t i = 0; i < ENG_X86_POINTS; ++i) {
            __builtin_memcpy(lines + i * line + at, v + i, sizeof v[i]);
        }
    }
}

/* Columns of padding on both sides of x's: the same code throughout has a transform that is not zero at one point only. */
static void pad_lines(const eng_x86_winograd *p, int16_t *lines)
{
    const size_t left = (size_t)p->left * p->channels;
    for (uint32_t i = 0; i < p->band * ENG_X86_POINTS; ++i, lines += p->line) {
        const int16_t code = i % ENG_X86_POINTS == 1 ? (int16_t)(-6 * p->zero_x) : 0;
        int16_t *const end = lines + p->first + p->x_row;
        for (size_t k = p->first - left; k < p->first; ++k) {
            lines[k] = code;
        }
        for (size_t k = 0; k < p->right; ++k) {
            end[k] = code;
        }
    }
}

/* Transformed codes of those tiles of a group that share a vector. */
static __attribute__((noinline)) void fill_tiles(const eng_x86_winograd *p, const tile *group, int16_t *tiles)
{
    const size_t line = p->line, channels = p->channels, chunks = p->chunks;
    const size_t point = chunks * ENG_X86_POINTS * GROUP;
    const int16_t *at[CHUNKS];
    for (uint32_t i = 0; i < CHUNKS; ++i) {
        at[i] = group[i].lines;
    }
    for (size_t c = 0; c < chunks; ++c) {
        for (uint32_t row = 0; row < ENG_X86_POINTS; ++row) {
            eng_halves d[ENG_X86_POINTS], v[ENG_X86_POINTS];
#pragma GCC unroll 6
            for (uint32_t i = 0; i < ENG_X86_POINTS; ++i) {
                d[i] = (eng_halves)vec_chunks(at, row * line + i * channels + c * ENG_X86_CHUNK);
            }
            transform_codes(d, v);
#pragma GCC unroll 6
            for (uint32_t i = 0; i < ENG_X86_POINTS; ++i) {
                vec_keep((eng_vec *)(void *)(tiles + i * point), (eng_vec)v[i]);
            }
            tiles += GROUP;
        }
    }
}

/* Sums of one point of rows over the channels of an eight. */
ENG_INLINE void sum_pairs(const int16_t *x, const int16_t *w, eng_vec *acc)
{
    eng_vec pairs[ENG_X86_TILES];
#pragma GCC unroll 4
    for (uint32_t t = 0; t < ENG_SHUFFLED; ++t) {
        pairs[t] = vec_pairs(x + t * ENG_X86_CHUNK);
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < ENG_X86_EIGHT / 2; ++i) {
        const eng_vec weights = vec_load(w + i * 2 * ENG_LANES);
#pragma GCC unroll 4
        for (uint32_t t = 0; t < ENG_X86_TILES; ++t) {
            acc[t] = t < ENG_SHUFFLED ? vec_dot_pair(acc[t], weights, pairs[t], i)
                                      : vec_dot_at(acc[t], weights, x + t * ENG_X86_CHUNK + 2 * i);
        }
    }
}

/* Sums of ENG_ROWS points of a column: [point][tile]. */
ENG_INLINE void sum_rows(const int16_t *x, const int16_t *w, uint32_t eights, eng_vec *acc)
{
    for (uint32_t k = 0; k < eights; ++k) {
#pragma GCC unroll 6
        for (uint32_t row = 0; row < ENG_ROWS; ++row) {
            sum_pairs(x + row * GROUP, w + row * (ENG_X86_EIGHT * ENG_LANES), acc + row * ENG_X86_TILES);
        }
        w += ENG_X86_POINTS * ENG_X86_EIGHT * ENG_LANES;
        /* Two eights to a chunk. Not by a condition, or gcc 12 makes loads redundant and accumulators go to memory. */
        x += ENG_X86_EIGHT + k % 2 * (ENG_X86_POINTS * GROUP - 2 * ENG_X86_EIGHT);
    }
}

/* Sums of all points of a column, begun with zero but for one, transformed along the column: [ENG_X86_TILE][tile]. */
static __attribute__((noinline)) void sum_column(const int16_t *x, const int16_t *w, uint32_t eights, const int32_t *start,
                                                 eng_vec *partial)
{
    eng_vec acc[ENG_X86_POINTS * ENG_X86_TILES];
#pragma GCC unroll 2
    for (uint32_t row = 0; row < ENG_X86_POINTS; row += ENG_ROWS) {
#pragma GCC unroll 24
        for (uint32_t i = row * ENG_X86_TILES; i < (row + ENG_ROWS) * ENG_X86_TILES; ++i) {
            acc[i] = i / ENG_X86_TILES == 1 ? vec_load(start) : vec_zero();
        }
        sum_rows(x + row * GROUP, w + row * (ENG_X86_EIGHT * ENG_LANES), eights, acc + row * ENG_X86_TILES);
    }
#pragma GCC unroll 4
    for (uint32_t t = 0; t < ENG_X86_TILES; ++t) {
        eng_words m[ENG_X86_POINTS], y[ENG_X86_TILE];
#pragma GCC unroll 6
        for (uint32_t row = 0; row < ENG_X86_POINTS; ++row) {
            m[row] = (eng_words)acc[row * ENG_X86_TILES + t];
        }
        transform_sums(m, y);
#pragma GCC unroll 4
        for (uint32_t i = 0; i < ENG_X86_TILE; ++i) {
            vec_keep(partial + i * ENG_X86_TILES + t, (eng_vec)y[i]);
        }
    }
}

/* 2 to the power of this, times 3, is D of winograd.h. */
ENG_INLINE uint32_t twos(uint32_t i)
{
    return i == 0 ? 3 : i == 1 ? 2 : 1;
}

/* What becomes of the sums of a block of outputs. */
typedef struct {
    const eng_x86_winograd *p;
    const int32_t *lane;
    eng_limits limits;
    bool whole; /* all outputs are of this block */
} block_writing;

/* Codes of row i of a tile. */
ENG_INLINE void store_row(const block_writing *b, const eng_vec *partial, uint32_t i, const eng_quick *k,
                          eng_x86_rounding loops, uint32_t columns, int8_t *y)
{
    eng_words m[ENG_X86_POINTS], z[ENG_X86_TILE];
    eng_vec codes[ENG_X86_TILE];
#pragma GCC unroll 6
    for (uint32_t j = 0; j < ENG_X86_POINTS; ++j) {
        m[j] = (eng_words)vec_load(partial + (j * ENG_X86_TILE + i) * ENG_X86_TILES);
    }
    transform_sums(m, z);
#pragma GCC unroll 4
    for (uint32_t j = 0; j < ENG_X86_TILE; ++j) {
        const eng_signed_words sum = (eng_signed_words)(z[j] * ENG_X86_INVERSE) >> (int32_t)(twos(i) + twos(j));
        codes[j] = rounded((eng_vec)sum, k, b->lane, loops, b->p->rounding, &b->p->y);
    }
    if (b->whole && columns == ENG_X86_TILE) {
        vec_store_full(codes, &b->limits, y);
    } else {
        vec_store_apart(codes, columns, &b->limits, b->p->out_c, y);
    }
}

ENG_INLINE void store_tiles(const block_writing *b, const tile *group, const eng_vec *partial, size_t output,
                            eng_x86_rounding loops)
{
    const eng_quick k = quick_constants(b->lane, loops);
    const size_t row = (size_t)b->p->out_w * b->p->out_c;
    for (uint32_t t = 0; t < ENG_X86_TILES; ++t) {
        int8_t *y = group[t].y + output;
#pragma GCC unroll 4
        for (uint32_t i = 0; i < ENG_X86_TILE; ++i) {
            if (i < group[t].rows) {
                store_row(b, partial + t, i, &k, loops, group[t].columns, y);
            }
            y += row;
        }
    }
}

/* Codes of a block of outputs of a group. */
static __attribute__((noinline)) void store_block(const eng_x86_winograd *p, uint32_t block, const tile *group,
                                                  const eng_vec *partial)
{
    const uint32_t output = block * ENG_LANES, left = p->out_c - output;
    const void *const lane = (const uint8_t *)p + p->lane;
    const block_writing b = {.p = p,
                             .lane = (const int32_t *)lane + (size_t)block * ENG_X86_LANE * ENG_LANES,
                             .limits = vec_limits(&p->clamp, left < ENG_LANES ? left : ENG_LANES, eng_x86_saturates(&p->clamp)),
                             .whole = p->out_c == ENG_LANES};
#define STORE(form) store_tiles(&b, group, partial, output, form)
    ANY_ROUNDING(p->rounding, STORE)
#undef STORE
}

/* All outputs of a group. */
static void run_group(const eng_x86_winograd *p, const tile *group, int16_t *tiles, eng_vec *partial)
{
    const void *const start = (const uint8_t *)p + p->start, *const weights = (const uint8_t *)p + p->w;
    const size_t x_column = (size_t)p->chunks * ENG_X86_POINTS * GROUP;
    const size_t w_column = (size_t)p->eights * ENG_X86_POINTS * ENG_X86_EIGHT * ENG_LANES;
    static const int32_t none[ENG_LANES] __attribute__((aligned(64)));
    const int16_t *w = weights;
    for (uint32_t t = 0; t < ENG_X86_TILES; t += CHUNKS) {
        fill_tiles(p, group + t, tiles + t * ENG_X86_CHUNK);
    }
    for (uint32_t block = 0; block < p->blocks; ++block) {
        for (uint32_t column = 0; column < ENG_X86_POINTS; ++column) {
            const int32_t *const from = column == 1 ? (const int32_t *)start + block * ENG_LANES : none;
            sum_column(tiles + column * x_column, w, p->eights, from, partial + column * (ENG_X86_TILE * ENG_X86_TILES));
            w += w_column;
        }
        store_block(p, block, group, partial);
    }
}

/* `rows` rows of tiles, in groups that take no notice of where one ends. */
static void run_band(const eng_x86_winograd *p, uint32_t first, uint32_t rows, uint8_t *scratch, int8_t *y)
{
    void *const lines = scratch + p->lines, *const tiles = scratch + p->tiles, *const partial = scratch + p->sums;
    const size_t x_step = (size_t)ENG_X86_TILE * p->channels, y_step = (size_t)ENG_X86_TILE * p->out_c;
    const uint32_t last = p->out_w - (p->tile_columns - 1) * ENG_X86_TILE;
    tile group[ENG_X86_TILES];
    uint32_t count = 0;
    for (uint32_t r = 0; r < rows; ++r) {
        const uint32_t below = p->out_h - (first + r) * ENG_X86_TILE;
        tile t = {.lines = (const int16_t *)lines + r * ENG_X86_POINTS * p->line + p->first - (size_t)p->left * p->channels,
                  .y = y + (size_t)(first + r) * ENG_X86_TILE * p->out_w * p->out_c,
                  .rows = below < ENG_X86_TILE ? below : ENG_X86_TILE};
        for (uint32_t column = 1; column <= p->tile_columns; ++column, t.lines += x_step, t.y += y_step) {
            t.columns = column < p->tile_columns ? ENG_X86_TILE : last;
            group[count++] = t;
            if (count == ENG_X86_TILES) {
                run_group(p, group, tiles, partial);
                count = 0;
            }
        }
    }
    if (count > 0) {
        for (uint32_t i = count; i < ENG_X86_TILES; ++i) { /* tiles that have no outputs */
            group[i] = group[0];
            group[i].rows = 0;
        }
        run_group(p, group, tiles, partial);
    }
}

static void run_winograd(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_winograd *const p = packed;
    const void *const x = arena + l->x;
    void *const lines = scratch + p->lines, *const padding = scratch, *const y = arena + l->y;
    const uint32_t mode = rounding_mode(p->rounding);
    __builtin_memset(padding, p->zero_x, p->x_row);
    pad_lines(p, lines);
    for (uint32_t first = 0, rows; first < p->tile_rows; first += rows) {
        rows = p->tile_rows - first < p->band ? p->tile_rows - first : p->band;
        for (uint32_t r = 0; r < rows; ++r) {
            fill_lines(p, x, padding, first + r, (int16_t *)lines + r * ENG_X86_POINTS * p->line);
        }
        run_band(p, first, rows, scratch, y);
    }
    restore_mode(p->rounding, mode);
}

#endif
