/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over a packed form of dense and convolution layers; vectors as twin.h says. Most sums become codes while they are
 * in registers. Others are left in memory, and become codes when some have gathered. */
#ifndef ENG_X86_PRODUCTS_RUN_H
#define ENG_X86_PRODUCTS_RUN_H

#include "image_run.h"
#include "points_run.h"
#include "sums_run.h"

/* DO(n) for all sizes of groups. */
#define ALL_SIZES(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(16)

/* DO(grouping) for the one that suits the chunk. */
#define ANY_GROUPING(c, raw, DO)                                                                                               \
    if ((c)->halves) {                                                                                                         \
        DO(((grouping){1, true, raw, 0, ENG_POINTS_1, 4, false, false, 1}));                                                   \
    } else if ((c)->blocks == 1) {                                                                                             \
        DO(((grouping){1, false, raw, 0, ENG_POINTS_1, 4, false, false, 1}));                                                  \
    } else if ((c)->blocks == 2) {                                                                                             \
        DO(((grouping){2, false, raw, 0, ENG_POINTS_2, 2, false, false, 1}));                                                  \
    } else if ((c)->blocks == 3) {                                                                                             \
        DO(((grouping){3, false, raw, 0, ENG_POINTS_3, 1, false, false, 1}));                                                  \
    } else {                                                                                                                   \
        DO(((grouping){4, false, raw, 0, ENG_POINTS_4, 1, false, false, 1}));                                                  \
    }

/* A copy of rows of x, of which `first` is the first, for rows of points from `from` to `to`; y: codes of row `from`. */
typedef struct {
    const uint8_t *copy;
    uint32_t first, from, to;
    int8_t *y;
} band;

static const uint32_t *rows_of_taps(const eng_x86_products *p, uint32_t r)
{
    const void *const rows = (const uint8_t *)p + p->row;
    return (const uint32_t *)rows + (size_t)r * p->tap_rows;
}

static uint32_t columns_of(const chunk *c, uint32_t r)
{
    return r + 1 < c->p->rows ? c->columns : c->last_columns;
}

ENG_INLINE void leave_group(const chunk *c, const uint8_t *at, uint32_t points, grouping g, bool more, eng_vec *to)
{
    eng_vec acc[MOST_ACCS];
    sum_points(c, at, points, g, acc);
    leave_sums(c, points, g.blocks, g.halves, more, acc, to);
}

/* Leaves the sums of all taps of `points` points from column q of row r on. */
ENG_INLINE void leave_taps(const chunk *c, const band *b, uint32_t r, uint32_t q, uint32_t points, grouping g, eng_vec *to)
{
    const eng_x86_products *const p = c->p;
    const void *const columns = (const uint8_t *)p + p->column;
    const uint32_t *const row = rows_of_taps(p, r);
    const uint32_t *const column = (const uint32_t *)columns + (size_t)q * p->tap_columns;
    for (uint32_t i = 0; i < p->tap_rows; ++i) {
        for (uint32_t j = 0; j < p->tap_columns; ++j) {
            const uint8_t *const line = b->copy + (row[i] - b->first) * p->copy_row;
            const uint8_t *const at = line + (p->plain ? q * c->point : column[j]);
            switch (points) {
#define CASE(n)                                                                                                                \
    case n:                                                                                                                    \
        if (n <= g.most && (n == 1 || n % g.unit == 0)) {                                                                      \
            leave_group(c, at, n <= g.most ? n : 1, g, i + j > 0, to);                                                         \
        }                                                                                                                      \
        break;
                ALL_SIZES(CASE)
#undef CASE
            default:
                break;
            }
        }
    }
}

/* Points of any kind: sums gather first. */
ENG_INLINE void gathered(const chunk *c, const sums *empty, const band *b, grouping g)
{
    const eng_x86_products *const p = c->p;
    eng_vec room[MOST_GATHERED + MOST_ACCS];
    sums s = *empty;
    const size_t output = (size_t)(s.y - b->y), left = p->last > output ? p->last - output : 0;
    s.v = room;
    for (uint32_t r = b->from; r < b->to; ++r) {
        const uint32_t columns = columns_of(c, r), uneven = p->plain || columns < p->uneven ? columns : p->uneven;
        const partition parts = partition_of(uneven - p->even, g.most, g.unit);
        for (uint32_t q = 0, group = 0, points; q < columns; q += points) {
            points = q < p->even || q >= uneven ? 1 : group_size(&parts, group++, uneven - q);
            leave_taps(c, b, r, q, points, g, sums_room(&s, points));
        }
        if (p->last < p->out) {
            sums_end_row(&s, left < s.count ? (uint32_t)left : s.count, b->y + (r + 1 - b->from) * p->y_row + output);
        }
    }
    sums_end(&s);
}

static __attribute__((noinline)) void run_gathered(const chunk *c, const sums *s, const band *b)
{
#define DO(g) gathered(c, s, b, g)
    ANY_GROUPING(c, false, DO)
#undef DO
}

/* How a chunk's codes are written. */
typedef struct {
    eng_limits limits; /* of a point */
    const eng_x86_clamp *clamp;
    bool saturates; /* and no more */
    uint32_t count; /* of a point */
    size_t step;    /* codes between points */
    bool dense;     /* none lie between them */
} writing;

ENG_INLINE writing writing_of(const sums *s, uint32_t blocks)
{
    const bool dense = s->count == blocks * ENG_LANES && s->step == s->count;
    const bool saturates = eng_x86_saturates(s->clamp);
    const writing w = {vec_limits(s->clamp, s->count, saturates), s->clamp, saturates, s->count, s->step, dense};
    return w;
}

/* The i-th vector of acc and as many as four_codes wants. */
ENG_INLINE void store_at(const eng_limits *limits, uint32_t blocks, const eng_vec *acc, int8_t *y)
{
    const eng_vec four[4] = {acc[0], acc[blocks > 1 ? 1 : 0], acc[blocks > 2 ? 2 : 0], acc[blocks > 3 ? 3 : 0]};
    if (blocks == 1) {
        vec_store(acc[0], limits, y);
    } else {
        vec_store_four(four, limits, y);
    }
}

/* Codes of `points` points from y on, [point][block]. */
ENG_INLINE void store_group(const chunk *c, const writing *w, uint32_t points, grouping g, eng_x86_rounding form, eng_vec *acc,
                            int8_t *y)
{
    const uint32_t blocks = g.blocks, vectors = points * blocks;
#pragma GCC unroll 4
    for (uint32_t b = 0; b < blocks; ++b) {
        const eng_quick k = quick_constants(c->lane + (size_t)b * ENG_X86_LANE * ENG_LANES, form);
#pragma GCC unroll 16
        for (uint32_t i = b; i < vectors; i += blocks) {
            acc[i] = vec_quick(g.halves || (g.tail && b + 1 == blocks) ? vec_join(acc[i]) : acc[i], &k, form);
        }
    }
    /* Held over a pass over four blocks they would take accumulators' registers. */
    const eng_limits limits = blocks < 4 ? w->limits : vec_limits(w->clamp, w->count, w->saturates);
    if (!g.halves && vectors % 4 == 0 && w->dense) {
#pragma GCC unroll 6
        for (uint32_t i = 0; i < vectors; i += 4) {
            vec_store_full(acc + i, &limits, y + i * ENG_LANES);
        }
        return;
    }
    const uint32_t fours = blocks == 1 ? points / 4 : 0;
#pragma GCC unroll 4
    for (uint32_t i = 0; i < fours; ++i) {
        vec_store_apart(acc + 4 * i, 4, &limits, w->step, y + 4 * i * w->step);
    }
#pragma GCC unroll 8
    for (uint32_t i = 4 * fours; i < points; ++i) {
        store_at(&limits, blocks, acc + i * blocks, y + i * w->step);
    }
}

ENG_INLINE void straight_group(const chunk *c, const writing *w, const uint8_t *at, uint32_t points, grouping g,
                               eng_x86_rounding form, int8_t *y)
{
    eng_vec acc[MOST_ACCS];
    sum_points(c, at, points, g, acc);
    store_group(c, w, points, g, form, acc, y);
}

/* A row of points of one position each, straight to codes. */
ENG_INLINE void straight_row(const chunk *c, const writing *w, const uint8_t *at, uint32_t columns, int8_t *y, grouping g,
                             eng_x86_rounding form)
{
    const partition parts = partition_of(columns, g.most, g.unit);
    for (uint32_t left = columns, group = 0, points; left > 0; left -= points) {
        points = group_size(&parts, group++, left);
        switch (points) {
#define CASE(n)                                                                                                                \
    case n:                                                                                                                    \
        if (n <= g.most && (n == 1 || n % g.unit == 0)) {                                                                      \
            straight_group(c, w, at, n <= g.most ? n : 1, g, form, y);                                                         \
        }                                                                                                                      \
        break;
            ALL_SIZES(CASE)
#undef CASE
        default:
            break;
        }
        at += points * c->point;
        y += points * w->step;
    }
}

ENG_INLINE void straight(const chunk *c, const sums *s, const band *b, grouping g, eng_x86_rounding form)
{
    const eng_x86_products *const p = c->p;
    const writing w = writing_of(s, g.blocks);
    for (uint32_t r = b->from; r < b->to; ++r) {
        const uint8_t *const at = b->copy + (*rows_of_taps(p, r) - b->first) * p->copy_row;
        straight_row(c, &w, at, columns_of(c, r), s->y + (r - b->from) * p->y_row, g, form);
    }
}

ENG_INLINE void any_straight(const chunk *c, const sums *s, const band *b, bool raw)
{
#define BRIEF(g)  straight(c, s, b, g, ENG_X86_BRIEF)
#define SIGNED(g) straight(c, s, b, g, ENG_X86_BRIEF_SIGNED)
#define QUICK(g)  straight(c, s, b, g, ENG_X86_QUICK)
    switch (s->rounding) {
    case ENG_X86_BRIEF:
        ANY_GROUPING(c, raw, BRIEF)
        break;
    case ENG_X86_BRIEF_SIGNED:
        ANY_GROUPING(c, raw, SIGNED)
        break;
    default:
        ANY_GROUPING(c, raw, QUICK)
        break;
    }
#undef BRIEF
#undef SIGNED
#undef QUICK
}

/* The quick forms. */
ENG_INLINE void any_form(const chunk *c, const sums *s, const band *b, grouping g)
{
    switch (s->rounding) {
    case ENG_X86_BRIEF:
        straight(c, s, b, g, ENG_X86_BRIEF);
        break;
    case ENG_X86_BRIEF_SIGNED:
        straight(c, s, b, g, ENG_X86_BRIEF_SIGNED);
        break;
    default:
        straight(c, s, b, g, ENG_X86_QUICK);
        break;
    }
}

static __attribute__((noinline)) void run_thirds(const chunk *c, const sums *s, const band *b)
{
    const grouping g = {.blocks = 1, .most = ENG_POINTS_1, .unit = 4, .thirds = true};
    any_form(c, s, b, g);
}

static __attribute__((noinline)) void run_straight(const chunk *c, const sums *s, const band *b)
{
    any_straight(c, s, b, false);
}

static __attribute__((noinline)) void run_tail(const chunk *c, const sums *s, const band *b)
{
    const grouping two = {.blocks = 2, .raw = true, .most = ENG_POINTS_2, .unit = 2, .tail = true};
    const grouping three = {.blocks = 3, .raw = true, .most = ENG_POINTS_2, .unit = 2, .tail = true};
    if (c->blocks == 2) {
        any_form(c, s, b, two);
    } else {
        any_form(c, s, b, three);
    }
}

static __attribute__((noinline)) void run_raw(const chunk *c, const sums *s, const band *b)
{
    any_straight(c, s, b, ENG_RAW);
}

/* The larger ones of pairs. */
ENG_INLINE void join_pairs(uint32_t vectors, const eng_vec *acc, eng_vec *larger)
{
#pragma GCC unroll 16
    for (uint32_t v = 0; v < vectors; ++v) {
        larger[v] = vec_max(acc[2 * v], acc[2 * v + 1]);
    }
}

/* The maximum over all taps of `points` pairs, at `at` and, for further taps, rows `row` less the first of them below, straight
 * to codes at y. */
ENG_INLINE void pooled_group(const chunk *c, const writing *w, const uint8_t *at, const uint32_t *row, uint32_t points,
                             grouping g, int8_t *y)
{
    const grouping joined = {.blocks = g.blocks / 2, .most = g.most, .unit = g.unit};
    const uint32_t vectors = points * g.blocks / 2;
    eng_vec acc[MOST_ACCS], best[MOST_ACCS / 2], other[MOST_ACCS / 2];
    sum_points(c, at, points, g, acc);
    join_pairs(vectors, acc, best);
    for (uint32_t i = 1; i < c->p->tap_rows; ++i) {
        sum_points(c, at + (row[i] - row[0]) * c->p->copy_row, points, g, acc);
        join_pairs(vectors, acc, other);
#pragma GCC unroll 16
        for (uint32_t v = 0; v < vectors; ++v) {
            best[v] = vec_max(best[v], other[v]);
        }
    }
    store_group(c, w, points, joined, ENG_X86_BRIEF, best, y);
}

/* Rows of pairs, of which there is one tap a row. */
ENG_INLINE void pooled(const chunk *c, const sums *s, const band *b, grouping g)
{
    const eng_x86_products *const p = c->p;
    const partition parts = partition_of(p->columns, g.most, 1);
    const writing w = writing_of(s, g.blocks / 2);
    for (uint32_t r = b->from; r < b->to; ++r) {
        const uint32_t *const row = rows_of_taps(p, r);
        const uint8_t *at = b->copy + (row[0] - b->first) * p->copy_row;
        int8_t *y = s->y + (r - b->from) * p->y_row;
        for (uint32_t left = p->columns, group = 0, points; left > 0; left -= points) {
            points = group_size(&parts, group++, left);
            switch (points) {
#define CASE(n)                                                                                                                \
    case n:                                                                                                                    \
        if (n <= g.most) {                                                                                                     \
            pooled_group(c, &w, at, row, n <= g.most ? n : 1, g, y);                                                           \
        }                                                                                                                      \
        break;
                ALL_SIZES(CASE)
#undef CASE
            default:
                break;
            }
            at += points * c->point;
            y += points * w.step;
        }
    }
}

static __attribute__((noinline)) void run_pooled(const chunk *c, const sums *s, const band *b)
{
    /* 3 x 3 of one channel: rows of one step are one segment. */
    enum { SEGMENTS = sizeof(code_t) == 1 ? 1 : 3, STEPS = sizeof(code_t) == 1 ? 3 : 2 };
    const grouping two = {.blocks = 2, .most = ENG_PAIRS_2, .unit = 1}, four = {.blocks = 4, .most = ENG_PAIRS_4, .unit = 1};
    const grouping three_rows = {.blocks = 2, .steps = STEPS, .most = ENG_PAIRS_2, .unit = 1, .segments = SEGMENTS};
    const grouping three_rows_of_four = {.blocks = 4, .steps = STEPS, .most = ENG_PAIRS_4, .unit = 1, .segments = SEGMENTS};
    const bool is_three = c->walk.segments == SEGMENTS && c->walk.run == STEPS;
    if (c->blocks == 2 && is_three) {
        pooled(c, s, b, three_rows);
    } else if (c->blocks == 4 && is_three) {
        pooled(c, s, b, three_rows_of_four);
    } else if (c->blocks == 2) {
        pooled(c, s, b, two);
    } else {
        pooled(c, s, b, four);
    }
}

/* One point straight to codes. */
ENG_INLINE void single(const chunk *c, const sums *s, const uint8_t *at, grouping g, eng_x86_rounding form)
{
    const writing w = writing_of(s, g.blocks);
    eng_vec acc[MOST_ACCS];
    sum_one(c, at, g, acc);
    store_group(c, &w, 1, g, form, acc, s->y);
}

/* The same by a form that has no loops of its own. */
ENG_INLINE void gathered_single(const chunk *c, const sums *empty, const uint8_t *at, grouping g)
{
    eng_vec acc[MOST_ACCS], room[MOST_ACCS];
    sums s = *empty;
    s.v = room;
    sum_one(c, at, g, acc);
    leave_sums(c, 1, g.blocks, g.halves, false, acc, sums_room(&s, 1));
    sums_end(&s);
}

ENG_INLINE void any_single(const chunk *c, const sums *s, const uint8_t *at, bool raw)
{
#define BRIEF(g)  single(c, s, at, g, ENG_X86_BRIEF)
#define SIGNED(g) single(c, s, at, g, ENG_X86_BRIEF_SIGNED)
#define QUICK(g)  single(c, s, at, g, ENG_X86_QUICK)
#define EXACT(g)  gathered_single(c, s, at, g)
    switch (s->rounding) {
    case ENG_X86_BRIEF:
        ANY_GROUPING(c, raw, BRIEF)
        break;
    case ENG_X86_BRIEF_SIGNED:
        ANY_GROUPING(c, raw, SIGNED)
        break;
    case ENG_X86_QUICK:
        ANY_GROUPING(c, raw, QUICK)
        break;
    default:
        ANY_GROUPING(c, raw, EXACT)
        break;
    }
#undef BRIEF
#undef SIGNED
#undef QUICK
#undef EXACT
}

static void run_single(const chunk *c, const sums *s, const uint8_t *at, bool raw)
{
    if (ENG_RAW && raw) {
        any_single(c, s, at, ENG_RAW);
    } else {
        any_single(c, s, at, false);
    }
}

/* Whether x is read in place: what gathers is not. */
static bool is_raw(const eng_x86_products *p)
{
    return p->raw && (p->single || p->rounding >= ENG_X86_QUICK);
}

static void run_chunk(const chunk *c, const sums *s, const band *b, bool raw)
{
    if (ENG_THIRDS && c->tail) {
        run_tail(c, s, b);
    } else if (ENG_RAW && raw) {
        run_raw(c, s, b);
    } else if (ENG_THIRDS && c->p->straight && c->p->rounding >= ENG_X86_QUICK && c->p->third > 0 && c->blocks == 1 &&
               !c->halves) {
        run_thirds(c, s, b);
    } else if (c->p->straight && c->p->rounding >= ENG_X86_QUICK) {
        run_straight(c, s, b);
    } else if (c->p->pairs && c->p->rounding == ENG_X86_BRIEF) {
        run_pooled(c, s, b);
    } else {
        run_gathered(c, s, b);
    }
}

/* All blocks of the points of a band. */
static void run_blocks(const eng_x86_products *p, const band *b, bool raw)
{
    for (uint32_t block = 0; block < p->blocks;) {
        const chunk c = chunk_of(p, block, raw && !p->single && has_tail(p, block));
        const sums s = sums_of(&c, block, p->out, b->y);
        p->single ? run_single(&c, &s, b->copy, raw) : run_chunk(&c, &s, b, raw);
        block += c.blocks;
    }
}

static void run_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_products *const p = packed;
    const void *const x = arena + l->x;
    void *const copy = scratch, *const y = arena + l->y;
    const bool raw = is_raw(p);
    const uint32_t mode = rounding_mode(p->rounding);
    for (uint32_t from = 0, to; from < p->rows; from = to) {
        to = p->rows - from < p->band ? p->rows : from + p->band;
        const uint32_t first = *rows_of_taps(p, from), last = rows_of_taps(p, to)[-1] + p->reach;
        const band b = {raw ? x : copy, raw ? 0 : first, from, to, (int8_t *)y + from * p->y_row};
        if (!raw) {
            copy_rows(&p->image, x, first, last - first + 1, copy);
        }
        run_blocks(p, &b, raw);
    }
    restore_mode(p->rounding, mode);
}

/* Dense layers of several samples: each is one point. */
static void run_samples(const eng_x86_products *p, const eng_samples *samples, const uint8_t *x, size_t x_step, bool raw)
{
    void *const y = samples->y;
    const band b = {x, 0, 0, 1, y};
    for (uint32_t block = 0; block < p->blocks;) {
        chunk c = chunk_of(p, block, raw && samples->count > 1 && has_tail(p, block));
        c.point = x_step;
        c.last_columns = samples->count;
        const sums s = sums_of(&c, block, samples->y_step, y);
        samples->count == 1 ? run_single(&c, &s, x, raw) : run_chunk(&c, &s, &b, raw);
        block += c.blocks;
    }
}

/* Samples whose codes are copied first, at most ENG_X86_COPIES. */
static void run_copies(const eng_x86_products *p, const eng_samples *samples, uint8_t *scratch)
{
    for (uint32_t n = 0; n < samples->count; ++n) {
        const void *const x = samples->x + n * samples->x_step;
        void *const copy = scratch + n * p->copy;
        copy_rows(&p->image, x, 0, 1, copy);
    }
    run_samples(p, samples, scratch, p->copy, false);
}

static void run_dense(const void *packed, const eng_samples *samples, uint8_t *scratch)
{
    const eng_x86_products *const p = packed;
    const bool raw = p->raw && (samples->count == 1 || p->rounding >= ENG_X86_QUICK);
    const uint32_t mode = rounding_mode(p->rounding);
    eng_samples some = *samples;
    if (raw) {
        run_samples(p, samples, samples->x, samples->x_step, true);
    }
    for (uint32_t left = raw ? 0 : samples->count; left > 0; left -= some.count) {
        some.count = left < ENG_X86_COPIES ? left : ENG_X86_COPIES;
        run_copies(p, &some, scratch);
        some.x += some.count * some.x_step;
        some.y += some.count * some.y_step;
    }
    restore_mode(p->rounding, mode);
}

#endif
