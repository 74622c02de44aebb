/* SPDX-License-Identifier: Apache-2.0 */
/* Twins mostly in plain C, for the compiler to make vectors of whatever instruction set includes this: inner loops have
 * constant lengths and local results, so that it can. Where it does not, vectors of AVX2. ENG_ELEMENTWISE lists the twins by
 * operator. The includer has defined
 *   wide, ENG_LANES                                a vector of int32
 *   wide_all(v), wide_bytes(v)                     one number in every lane, or in every byte
 *   wide_mul(a, b), wide_add, wide_sub, wide_and   modulo 2^32
 *   wide_less(a, b)                                the smaller of unsigned numbers
 *   wide_codes(x)                                  the next codes
 *   wide_shift(v, n)                               right, arithmetic; n in a vector's first 64 bits
 *   wide_floats(f)                                 a float in every lane
 *   wide_choose(v, a, b)                           a where v < 0, else b
 *   wide_floor(v, scale, offset)                   floor(scale * v + offset) in float, every operation rounded down
 *   floor_mode(), restore_mode(mode)               around what calls wide_floor and is not inlined
 *   wide_zero(v)                                   not 0 if some lane is 0
 *   wide_narrow(v, lo, hi, y)                      writes four vectors, saturated to codes and clamped; lo, hi: in every byte
 */
#ifndef ENG_X86_ELEMENTWISE_RUN_H
#define ENG_X86_ELEMENTWISE_RUN_H

#include <immintrin.h>
#include <string.h>

#include "elementwise.h"
#include "mul.h"

#define ENG_INLINE static inline __attribute__((always_inline))
#define GROUP      ENG_X86_GROUP

/* eng_rescale_double in 64 bits. */
ENG_INLINE int32_t rescaled(int32_t acc, const eng_rescale *r)
{
    const int64_t product = (int64_t)(int32_t)((uint32_t)acc << r->left) * r->mult;
    const int64_t high = (product + (INT64_C(1) << 30)) >> 31;
    const int64_t half = r->right == 0 ? 0 : INT64_C(1) << (r->right - 1);
    return (int32_t)((high + half - (high < 0 && r->right != 0)) >> r->right); /* ties of negative numbers go down */
}

/* The zero point added, and clamped: |v| beyond 512 is beyond the range of codes. */
ENG_INLINE int8_t written(int32_t v, const eng_output_s8 *y)
{
    const int32_t near = v > 512 ? 512 : v < -512 ? -512 : v;
    const int32_t code = near + y->zero;
    const int32_t raised = code < y->lo ? y->lo : code;
    return (int8_t)(raised > y->hi ? y->hi : raised);
}

/* An operand, group by group. */
typedef struct {
    const int8_t *codes;
    uint32_t size, repeat;
    uint32_t at, uses; /* where a broadcast one is: element, and uses of it so far */
    int8_t *room;      /* null if the operand is as long as the result */
} operand;

/* Takes what it needs of *room. */
static operand operand_of(const eng_broadcast *b, const int8_t *codes, uint32_t count, int8_t **room)
{
    operand o = {codes, b->size, b->repeat, 0, 0, NULL};
    if (b->size == count) {
        return o;
    }
    o.room = *room;
    *room += GROUP;
    if (b->repeat == 1) { /* a row and its continuation */
        for (uint32_t i = 0; i < b->size + GROUP; i += b->size) {
            const uint32_t left = b->size + GROUP - i;
            memcpy(o.room + i, codes, left < b->size ? left : b->size);
        }
        *room += b->size;
    }
    return o;
}

/* The next `count` <= GROUP codes; GROUP may be read if the operand is broadcast. */
static const int8_t *take(operand *o, uint32_t count)
{
    if (o->repeat == 1) {
        const int8_t *const codes = (o->room == NULL ? o->codes : o->room) + o->at;
        o->at += count;
        o->at = o->room == NULL || o->at < o->size ? o->at : o->at % o->size;
        return codes;
    }
    for (uint32_t i = 0; i < count;) {
        const uint32_t left = o->repeat - o->uses, n = left < count - i ? left : count - i;
        memset(o->room + i, o->codes[o->at], n);
        i += n;
        o->uses = n == left ? 0 : o->uses + n;
        o->at = n == left ? (o->at + 1) % o->size : o->at;
    }
    return o->room;
}

/* eng_x86_pair in every lane. */
typedef struct {
    wide m, m2, c, doubtful;
    wide lo, hi; /* in every byte */
    __m128i shift;
} pair_vectors;

static pair_vectors pair_vectors_of(const eng_x86_pair *pair)
{
    const pair_vectors k = {.m = wide_all((int32_t)pair->m),
                            .m2 = wide_all((int32_t)pair->m2),
                            .c = wide_all((int32_t)pair->c),
                            .doubtful = wide_all((int32_t)pair->doubtful),
                            .lo = wide_bytes(pair->lo),
                            .hi = wide_bytes(pair->hi),
                            .shift = _mm_cvtsi32_si128(pair->shift)};
    return k;
}

/* Writes a group. */
ENG_INLINE void write_group(const wide *v, wide lo, wide hi, int8_t *y)
{
#pragma GCC unroll 2
    for (uint32_t j = 0; j < GROUP / ENG_LANES; j += 4) {
        wide_narrow(v + j, lo, hi, y + j * ENG_LANES);
    }
}

/* A group by the portable kernel's own steps: for those with doubtful elements. Ratios like 1/2 have many. */
static __attribute__((noinline)) void add_exactly(const eng_layer *l, const int8_t *x, const int8_t *x2, int8_t *y)
{
    const eng_add_s8_params p = *(const eng_add_s8_params *)l->params;
    const int32_t sign = l->op == ENG_OP_SUB_S8 ? -1 : 1;
    int8_t exact[GROUP];
    for (uint32_t i = 0; i < GROUP; ++i) {
        const int32_t a = (x[i] - p.zero_x) * (INT32_C(1) << ENG_ADD_SHIFT);
        const int32_t b = (x2[i] - p.zero_x2) * sign * (INT32_C(1) << ENG_ADD_SHIFT);
        exact[i] = written(rescaled(rescaled(a, &p.rescale_x) + rescaled(b, &p.rescale_x2), &p.rescale_y), &p.y);
    }
    memcpy(y, exact, GROUP);
}

/* A group; x and x2 are read before y is written. */
ENG_INLINE void add_group(const eng_layer *l, const pair_vectors *k, const int8_t *x, const int8_t *x2, int8_t *y)
{
    wide u[GROUP / ENG_LANES], certain = wide_all(-1);
#pragma GCC unroll 8
    for (uint32_t j = 0; j < GROUP / ENG_LANES; ++j) {
        const wide a = wide_mul(wide_codes(x + j * ENG_LANES), k->m), b = wide_mul(wide_codes(x2 + j * ENG_LANES), k->m2);
        u[j] = wide_add(wide_add(a, k->c), b);
        certain = wide_less(certain, wide_and(u[j], k->doubtful));
        u[j] = wide_shift(u[j], k->shift);
    }
    if (__builtin_expect(wide_zero(certain) != 0, 0)) {
        add_exactly(l, x, x2, y);
        return;
    }
    write_group(u, k->lo, k->hi, y);
}

/* eng_x86_mul in every lane. */
typedef struct {
    wide zero, zero2, shift, scale, above, below;
    wide lo, hi; /* in every byte */
} product_vectors;

static product_vectors product_vectors_of(const eng_x86_mul *mul, int8_t zero, int8_t zero2)
{
    const product_vectors k = {wide_all(zero),          wide_all(zero2),         wide_all(mul->shift), wide_floats(mul->scale),
                               wide_floats(mul->above), wide_floats(mul->below), wide_bytes(mul->lo),  wide_bytes(mul->hi)};
    return k;
}

ENG_INLINE void mul_group(const product_vectors *k, const int8_t *x, const int8_t *x2, int8_t *y)
{
    wide v[GROUP / ENG_LANES];
#pragma GCC unroll 8
    for (uint32_t j = 0; j < GROUP / ENG_LANES; ++j) {
        const wide d = wide_sub(wide_codes(x + j * ENG_LANES), k->zero);
        const wide p = wide_mul(d, wide_sub(wide_codes(x2 + j * ENG_LANES), k->zero2));
        v[j] = wide_floor(wide_add(p, k->shift), k->scale, wide_choose(p, k->below, k->above));
    }
    write_group(v, k->lo, k->hi, y);
}

/* What is computed of groups: products if there are constants of them. */
typedef struct {
    const eng_layer *l;
    const pair_vectors *pair;
    const product_vectors *product;
} pairing;

ENG_INLINE void run_group(const pairing *g, bool product, const int8_t *x, const int8_t *x2, int8_t *y)
{
    if (product) {
        mul_group(g->product, x, x2, y);
    } else {
        add_group(g->l, g->pair, x, x2, y);
    }
}

/* whole: neither operand is broadcast. */
ENG_INLINE void run_pairs(const pairing *g, bool product, bool whole, uint32_t count, operand x, operand x2, int8_t *y)
{
    uint32_t i = 0;
    for (; i + GROUP <= count; i += GROUP) {
        const int8_t *const xi = whole ? x.codes + i : take(&x, GROUP), *const x2i = whole ? x2.codes + i : take(&x2, GROUP);
        run_group(g, product, xi, x2i, y + i);
    }
    if (i < count) {
        int8_t a[GROUP] = {0}, b[GROUP] = {0};
        memcpy(a, whole ? x.codes + i : take(&x, count - i), count - i);
        memcpy(b, whole ? x2.codes + i : take(&x2, count - i), count - i);
        run_group(g, product, a, b, a);
        memcpy(y + i, a, count - i);
    }
}

ENG_INLINE void run_any_pairs(const pairing *g, bool product, uint32_t count, operand x, operand x2, int8_t *y)
{
    if (x.room == NULL && x2.room == NULL) {
        run_pairs(g, product, true, count, x, x2, y);
    } else {
        run_pairs(g, product, false, count, x, x2, y);
    }
}

static void run_add(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_add_s8_params *const p = l->params;
    const pair_vectors k = pair_vectors_of(packed);
    const pairing g = {l, &k, NULL};
    void *const x = arena + l->x, *const x2 = arena + l->x2, *const y = arena + l->y, *const memory = scratch;
    int8_t *room = memory;
    const operand a = operand_of(&p->x, x, p->count, &room);
    run_any_pairs(&g, false, p->count, a, operand_of(&p->x2, l->w != NULL ? l->w : x2, p->count, &room), y);
}

/* In the mode that wide_floor needs. */
static __attribute__((noinline)) void run_product_groups(const pairing *g, uint32_t count, operand x, operand x2, int8_t *y)
{
    run_any_pairs(g, true, count, x, x2, y);
}

static void run_mul(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_mul_s8_params *const p = l->params;
    const product_vectors k = product_vectors_of(packed, p->zero_x, p->zero_x2);
    const pairing g = {l, NULL, &k};
    void *const x = arena + l->x, *const x2 = arena + l->x2, *const y = arena + l->y, *const memory = scratch;
    int8_t *room = memory;
    const operand a = operand_of(&p->x, x, p->count, &room);
    const uint32_t mode = floor_mode();
    run_product_groups(&g, p->count, a, operand_of(&p->x2, l->w != NULL ? l->w : x2, p->count, &room), y);
    restore_mode(mode);
}

#define MOST_WORDS 256 /* codes whose sum is a word */

/* words[i] = sum over rows of x[i], i < width <= GROUP, rows `step` apart, at most MOST_WORDS of them. */
ENG_INLINE void sum_words(const int8_t *x, size_t step, uint32_t rows, uint32_t width, int16_t *words)
{
    for (uint32_t i = 0; i < width; ++i) {
        words[i] = x[i];
    }
    for (uint32_t r = 1; r < rows; ++r) {
        x += step;
        for (uint32_t i = 0; i < width; ++i) {
            words[i] = (int16_t)(words[i] + x[i]);
        }
    }
}

/* sums[i], likewise, of any number of rows. */
ENG_INLINE void sum_group(const int8_t *x, size_t step, uint32_t rows, uint32_t width, int32_t *sums)
{
    int32_t acc[GROUP];
    int16_t words[GROUP];
    sum_words(x, step, rows < MOST_WORDS ? rows : MOST_WORDS, width, words);
    for (uint32_t i = 0; i < width; ++i) {
        acc[i] = words[i];
    }
    for (uint32_t done = MOST_WORDS; done < rows; done += MOST_WORDS) {
        const uint32_t left = rows - done;
        sum_words(x + done * step, step, left < MOST_WORDS ? left : MOST_WORDS, width, words);
        for (uint32_t i = 0; i < width; ++i) {
            acc[i] += words[i];
        }
    }
    memcpy(sums, acc, width * sizeof *acc);
}

static void sum_rows(const int8_t *x, size_t step, uint32_t rows, size_t n, int32_t *sums)
{
    size_t i = 0;
    for (; i + GROUP <= n; i += GROUP) {
        sum_group(x + i, step, rows, GROUP, sums + i);
    }
    for (; i + 16 <= n; i += 16) {
        sum_group(x + i, step, rows, 16, sums + i);
    }
    if (i < n) {
        sum_group(x + i, step, rows, (uint32_t)(n - i), sums + i);
    }
}

static inline __m256i load_32(const int8_t *x)
{
    return _mm256_loadu_si256((const void *)x);
}

static inline __m128i load_16(const int8_t *x)
{
    return _mm_loadu_si128((const void *)x);
}

/* most[i] = largest of rows of x[i], i < 16. */
static inline void max_16(const int8_t *x, size_t step, uint32_t rows, int8_t *most)
{
    __m128i acc = load_16(x);
    for (uint32_t r = 1; r < rows; ++r) {
        x += step;
        acc = _mm_max_epi8(acc, load_16(x));
    }
    _mm_storeu_si128((void *)most, acc);
}

/* The same of i < n. */
static void max_rows(const int8_t *x, size_t step, uint32_t rows, size_t n, int8_t *most)
{
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const int8_t *row = x + i;
        __m256i acc = load_32(row);
        for (uint32_t r = 1; r < rows; ++r) {
            row += step;
            acc = _mm256_max_epi8(acc, load_32(row));
        }
        _mm256_storeu_si256((void *)(most + i), acc);
    }
    if (n < 16) {
        memcpy(most, x, n);
        for (uint32_t r = 1; r < rows; ++r) {
            for (size_t c = 0; c < n; ++c) {
                most[c] = x[r * step + c] > most[c] ? x[r * step + c] : most[c];
            }
        }
        return;
    }
    for (; i < n; i += 16) { /* the last one overlaps the one before */
        const size_t at = i + 16 <= n ? i : n - 16;
        max_16(x + at, step, rows, most + at);
    }
}

/* A position of a pool, after its rows have become one: taps `step` apart. Writes up to GROUP - 1 codes too many. */
typedef struct {
    uint32_t taps;
    size_t step;
    uint32_t channels;
    uint32_t count; /* of all taps, rows included */
    int8_t lo, hi;
} position;

static inline void max_position(const position *p, const int8_t *x, int8_t *y)
{
    const __m128i lo = _mm_set1_epi8(p->lo), hi = _mm_set1_epi8(p->hi);
    for (uint32_t c = 0; c < p->channels; c += 16) {
        __m128i acc = load_16(x + c);
        for (uint32_t t = 1; t < p->taps; ++t) {
            acc = _mm_max_epi8(acc, load_16(x + t * p->step + c));
        }
        _mm_storeu_si128((void *)(y + c), _mm_min_epi8(_mm_max_epi8(acc, lo), hi));
    }
}

/* Rounded half away from zero: floor((|sum| + floor(count / 2)) / count). count <= 2^15, so that both numbers are below 2^23
 * and a quotient below a whole number is so by more than float's rounding. */
ENG_INLINE void mean_position(const position *p, const int32_t *x, int8_t *y)
{
    enum { WIDTH = 16 };
    const float count = (float)p->count;
    const int32_t half = (int32_t)(p->count / 2);
    for (uint32_t c = 0; c < p->channels; c += WIDTH) {
        int32_t acc[WIDTH];
        int8_t codes[WIDTH];
        memcpy(acc, x + c, sizeof acc);
        for (uint32_t t = 1; t < p->taps; ++t) {
            for (uint32_t i = 0; i < WIDTH; ++i) {
                acc[i] += x[t * p->step + c + i];
            }
        }
        for (uint32_t i = 0; i < WIDTH; ++i) {
            const int32_t magnitude = (acc[i] < 0 ? -acc[i] : acc[i]) + half;
            const int32_t quotient = (int32_t)((float)magnitude / count);
            const int32_t code = acc[i] < 0 ? -quotient : quotient;
            const int32_t raised = code < p->lo ? p->lo : code;
            codes[i] = (int8_t)(raised > p->hi ? p->hi : raised);
        }
        memcpy(y + c, codes, WIDTH);
    }
}

/* Whether all taps of all columns are inside the image: then their places need no search. */
static bool columns_inside(const eng_window *v)
{
    return v->pad_left == 0 && (v->out_w - UINT32_C(1)) * v->stride_w + (v->kernel_w - UINT32_C(1)) * v->dilation_w < v->in_w;
}

static eng_span columns_at(const eng_window *v, bool inside, uint16_t q)
{
    const eng_span all = {0, v->kernel_w, (uint16_t)(q * (uint32_t)v->stride_w)};
    return inside ? all : eng_span_columns(v, q);
}

/* A row of pixels and channels that rows of the image have become: what a pool's columns look at. */
static size_t image_row(const eng_pool2d_s8_params *p)
{
    return (size_t)p->window.in_w * p->channels;
}

static void run_max_pool(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_pool2d_s8_params *const p = l->params;
    const eng_window *const v = &p->window;
    void *const memory = scratch, *const from = arena + l->x, *const to = arena + l->y;
    const size_t row = image_row(p), out = (size_t)v->out_w * p->channels;
    const bool inside = columns_inside(v);
    int8_t *const tall = memory, *const pooled = tall + row + GROUP;
    position at = {.step = (size_t)v->dilation_w * p->channels, .channels = p->channels, .lo = p->lo, .hi = p->hi};
    (void)packed;
    for (uint16_t r = 0; r < v->out_h; ++r) {
        const eng_span rows = eng_span_rows(v, r);
        max_rows((const int8_t *)from + rows.pixel * row, v->dilation_h * row, rows.count, row, tall);
        for (uint16_t q = 0; q < v->out_w; ++q) {
            const eng_span columns = columns_at(v, inside, q);
            const int8_t *const x = tall + (size_t)columns.pixel * p->channels;
            int8_t *const y = pooled + (size_t)q * p->channels;
            at.taps = columns.count;
            max_position(&at, x, y);
        }
        memcpy((int8_t *)to + r * out, pooled, out);
    }
}

/* sums[i + k * channels], k < groups, added to sums[i]. */
static void fold_groups(int32_t *sums, uint32_t channels, uint32_t groups)
{
    for (uint32_t k = 1; k < groups; ++k) {
        for (uint32_t c = 0; c < channels; ++c) {
            sums[c] += sums[(size_t)k * channels + c];
        }
    }
}

/* sums[c] of all pixels: those are summed side by side, as many as make a vector's worth of channels. */
static void sum_pixels(const int8_t *x, uint32_t pixels, uint32_t channels, int32_t *sums)
{
    const uint32_t fit = channels < 2 * GROUP ? 2u * GROUP / channels : 1, groups = fit < pixels ? fit : pixels;
    const uint32_t rows = pixels / groups;
    const size_t width = (size_t)groups * channels;
    sum_rows(x, width, rows, width, sums);
    fold_groups(sums, channels, groups);
    x += rows * width;
    for (uint32_t i = rows * groups; i < pixels; ++i) {
        for (uint32_t c = 0; c < channels; ++c) {
            sums[c] += x[c];
        }
        x += channels;
    }
}

/* Whether the only window is the image. */
static bool is_global(const eng_window *v)
{
    return v->out_h == 1 && v->out_w == 1 && v->kernel_h == v->in_h && v->kernel_w == v->in_w && v->dilation_h == 1 &&
           v->dilation_w == 1 && v->pad_top == 0 && v->pad_left == 0;
}

/* Its means. */
static void run_global_pool(const eng_pool2d_s8_params *p, const int8_t *x, int32_t *sums, int8_t *y)
{
    const uint32_t pixels = (uint32_t)p->window.in_h * p->window.in_w;
    const position at = {.taps = 1, .channels = p->channels, .count = pixels, .lo = p->lo, .hi = p->hi};
    void *const behind = sums + p->channels + ENG_X86_SUMS;
    int8_t *const pooled = behind;
    sum_pixels(x, pixels, p->channels, sums);
    memset(sums + p->channels, 0, GROUP * sizeof *sums);
    mean_position(&at, sums, pooled);
    memcpy(y, pooled, p->channels);
}

static void run_average_pool(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_pool2d_s8_params *const p = l->params;
    const eng_window *const v = &p->window;
    void *const memory = scratch, *const from = arena + l->x, *const to = arena + l->y;
    const size_t row = image_row(p), out = (size_t)v->out_w * p->channels;
    const bool inside = columns_inside(v);
    int32_t *const tall = memory;
    void *const behind = tall + row + GROUP;
    int8_t *const pooled = behind;
    position at = {.step = (size_t)v->dilation_w * p->channels, .channels = p->channels, .lo = p->lo, .hi = p->hi};
    (void)packed;
    if (is_global(v)) {
        run_global_pool(p, from, tall, to);
        return;
    }
    memset(tall + row, 0, GROUP * sizeof *tall);
    for (uint16_t r = 0; r < v->out_h; ++r) {
        const eng_span rows = eng_span_rows(v, r);
        sum_rows((const int8_t *)from + rows.pixel * row, v->dilation_h * row, rows.count, row, tall);
        for (uint16_t q = 0; q < v->out_w; ++q) {
            const eng_span columns = columns_at(v, inside, q);
            at.taps = columns.count;
            at.count = (uint32_t)rows.count * columns.count;
            mean_position(&at, tall + (size_t)columns.pixel * p->channels, pooled + (size_t)q * p->channels);
        }
        memcpy((int8_t *)to + r * out, pooled, out);
    }
}

/* The sums of all channels become codes. */
static void write_means(const eng_mean_s8_params *p, const int32_t *sums, int8_t *y)
{
    const eng_mean_s8_params q = *p; /* which y does not alias */
    const int32_t zeros = (int32_t)q.pixels * q.zero_x;
    for (uint32_t c = 0; c < q.channels; ++c) {
        y[c] = written(rescaled(sums[c] - zeros, &q.rescale), &q.y);
    }
}

static void run_mean(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_mean_s8_params *const p = l->params;
    const void *const from = arena + l->x;
    void *const to = arena + l->y, *const memory = scratch;
    (void)packed;
    sum_pixels(from, p->pixels, p->channels, memory);
    write_means(p, memory, to);
}

/* Eight codes, before the last clamp. Division and steps as the portable kernel's, so that results are. */
static inline __m256i quantized(const eng_quantize_params *p, __m256 x)
{
    const __m256 most = _mm256_set1_ps(256.0f), half = _mm256_set1_ps(0.5f), sign = _mm256_set1_ps(-0.0f);
    const __m256 v = _mm256_div_ps(x, _mm256_set1_ps(p->scale));
    const __m256 number = _mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q)); /* NaN gives 0 */
    const __m256 near = _mm256_max_ps(_mm256_min_ps(number, most), _mm256_xor_ps(most, sign));
    const __m256i whole = _mm256_cvttps_epi32(near);
    const __m256 rest = _mm256_sub_ps(near, _mm256_cvtepi32_ps(whole));
    const __m256i up = _mm256_castps_si256(_mm256_cmp_ps(rest, half, _CMP_GE_OQ)); /* -1 where true */
    const __m256i down = _mm256_castps_si256(_mm256_cmp_ps(rest, _mm256_xor_ps(half, sign), _CMP_LE_OQ));
    return _mm256_add_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, up), down), _mm256_set1_epi32(p->zero));
}

/* Codes that differ from int8's by `flip`: 0, or the top bit for uint8. */
static inline void quantize_8(const eng_quantize_params *p, uint8_t flip, const float *x, uint8_t *y)
{
    const __m256i eight = quantized(p, _mm256_loadu_ps(x));
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    _mm_storel_epi64((void *)y, _mm_xor_si128(_mm_packs_epi16(words, words), _mm_set1_epi8((int8_t)flip)));
}

static void quantize_codes(const eng_quantize_params *p, uint8_t flip, const float *x, uint8_t *y)
{
    const eng_quantize_params q = *p; /* which y does not alias */
    uint32_t i = 0;
    for (; i + 8 <= q.count; i += 8) {
        quantize_8(&q, flip, x + i, y + i);
    }
    float rest[8] = {0.0f};
    uint8_t codes[8];
    memcpy(rest, x + i, (q.count - i) * sizeof *x);
    quantize_8(&q, flip, rest, codes);
    memcpy(y + i, codes, q.count - i);
}

static void quantize_s8(const eng_quantize_params *p, const float *x, int8_t *y)
{
    void *const codes = y;
    quantize_codes(p, 0, x, codes);
}

static void dequantize_codes(const eng_quantize_params *p, uint8_t flip, const uint8_t *x, float *y)
{
    const eng_quantize_params q = *p;
    for (uint32_t i = 0; i < q.count; ++i) {
        y[i] = q.scale * (float)((int8_t)(x[i] ^ flip) - q.zero);
    }
}

static void dequantize_s8(const eng_quantize_params *p, const int8_t *x, float *y)
{
    const void *const codes = x;
    dequantize_codes(p, 0, codes, y);
}

static void run_quantize(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    void *const x = arena + l->x;
    (void)packed;
    (void)scratch;
    quantize_codes(l->params, l->op == ENG_OP_QUANTIZE_F32_U8 ? 0x80 : 0, x, arena + l->y);
}

static void run_dequantize(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    void *const y = arena + l->y;
    (void)packed;
    (void)scratch;
    dequantize_codes(l->params, l->op == ENG_OP_DEQUANTIZE_U8_F32 ? 0x80 : 0, arena + l->x, y);
}

/* The first largest of a row: the largest, then where it first is. */
static void run_argmax(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_argmax_s8_params *const p = l->params;
    void *const from = arena + l->x, *const to = arena + l->y;
    const int8_t *x = from;
    int32_t *const y = to;
    (void)packed;
    (void)scratch;
    for (uint32_t r = 0; r < p->rows; ++r) {
        int8_t most = INT8_MIN;
        for (uint32_t i = 0; i < p->size; ++i) {
            most = x[i] > most ? x[i] : most;
        }
        y[r] = (int32_t)((const int8_t *)memchr(x, most, p->size) - x);
        x += p->size;
    }
}

/* At least as many bytes as both ends overlap: no call of a library for short rows. */
ENG_INLINE void copy_ends(int8_t *y, const int8_t *x, uint32_t n, uint32_t size)
{
    int8_t ends[2][32];
    memcpy(ends[0], x, size);
    memcpy(ends[1], x + n - size, size);
    memcpy(y, ends[0], size);
    memcpy(y + n - size, ends[1], size);
}

static void copy_row(int8_t *y, const int8_t *x, uint32_t n)
{
    if (n > 64 || n < 4) {
        memcpy(y, x, n);
    } else if (n >= 32) {
        copy_ends(y, x, n, 32);
    } else if (n >= 16) {
        copy_ends(y, x, n, 16);
    } else if (n >= 8) {
        copy_ends(y, x, n, 8);
    } else {
        copy_ends(y, x, n, 4);
    }
}

static void run_copy(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_copy_s8_params *const p = l->params;
    void *const from = arena + l->x, *const to = arena + l->y;
    const int8_t *x = from;
    int8_t *y = (int8_t *)to + p->first;
    (void)packed;
    (void)scratch;
    for (uint32_t row = 0; row < p->rows; ++row) {
        copy_row(y, x, p->size);
        x += p->size;
        y += p->stride;
    }
}

/* clang-format off */
#define ENG_ELEMENTWISE                                                                                                        \
    {                                                                                                                          \
        [ENG_OP_ADD_S8] = run_add, [ENG_OP_SUB_S8] = run_add, [ENG_OP_MUL_S8] = run_mul,       \
        [ENG_OP_MAX_POOL2D_S8] = run_max_pool, [ENG_OP_AVERAGE_POOL2D_S8] = run_average_pool, [ENG_OP_MEAN_S8] = run_mean,     \
        [ENG_OP_ARGMAX_S8] = run_argmax, [ENG_OP_COPY_S8] = run_copy, [ENG_OP_QUANTIZE_F32_S8] = run_quantize,                 \
        [ENG_OP_QUANTIZE_F32_U8] = run_quantize, [ENG_OP_DEQUANTIZE_S8_F32] = run_dequantize, [ENG_OP_DEQUANTIZE_U8_F32] = run_dequantize,                                  \
    }
/* clang-format on */

#endif
