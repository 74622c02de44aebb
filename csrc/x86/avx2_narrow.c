/* SPDX-License-Identifier: Apache-2.0 */
/* The narrow form of dense layers, narrow.h, by AVX2. */
#include "narrow.h"

#include "eight_lanes_run.h"
#include "twin.h"

#define CODES 4 /* of a step */

/* A chunk of outputs; x and the same codes as words. */
typedef struct {
    const eng_x86_products *p;
    const eng_x86_narrow *n;
    const uint8_t *x, *words, *w;
    const int32_t *bias, *lane;
    uint32_t count; /* of codes */
    int8_t *y;
} chunk;

/* The codes at x times one vector of weights a block. */
ENG_INLINE void step_of_bytes(const uint8_t *x, const uint8_t *w, uint32_t blocks, eng_vec *acc)
{
    const eng_vec codes = vec_step(x), size = _mm256_abs_epi8(codes), ones = _mm256_set1_epi16(1);
#pragma GCC unroll 6
    for (uint32_t b = 0; b < blocks; ++b) {
        const eng_vec weights = _mm256_sign_epi8(vec_load(w + b * VECTOR), codes);
        acc[b] = vec_add(acc[b], _mm256_madd_epi16(_mm256_maddubs_epi16(size, weights), ones));
    }
}

/* The two words at x times one vector of weights a block. */
ENG_INLINE void step_of_words(const uint8_t *x, const uint8_t *w, uint32_t blocks, eng_vec *acc)
{
    const eng_vec codes = vec_step(x);
#pragma GCC unroll 6
    for (uint32_t b = 0; b < blocks; ++b) {
        acc[b] = vec_add(acc[b], _mm256_madd_epi16(codes, vec_load(w + b * VECTOR)));
    }
}

ENG_INLINE void sum_chunk(const chunk *c, uint32_t blocks, eng_vec *acc)
{
    const size_t set = blocks * VECTOR;
    const uint8_t *words = c->words, *bytes = c->x + (size_t)c->n->mixed * CODES, *w = c->w;
#pragma GCC unroll 6
    for (uint32_t b = 0; b < blocks; ++b) {
        acc[b] = vec_load(c->bias + b * ENG_LANES);
    }
    for (uint32_t k = c->n->mixed; k > 0; --k) {
        step_of_bytes(bytes, w, blocks, acc);
        step_of_words(words, w + set, blocks, acc);
        step_of_words(words + CODES, w + 2 * set, blocks, acc);
        bytes += CODES;
        words += CODES * sizeof(int16_t);
        w += 3 * set;
    }
    for (uint32_t k = c->n->bytes; k > 0; --k) {
        step_of_bytes(bytes, w, blocks, acc);
        bytes += CODES;
        w += set;
    }
}

/* Codes of four vectors, the first `count` of them. */
ENG_INLINE void store_codes(const eng_vec *v, const eng_x86_clamp *clamp, uint32_t count, int8_t *y)
{
    const eng_limits limits = vec_limits(clamp, count, false);
    if (count >= 4 * ENG_LANES) {
        vec_store_full(v, &limits, y);
    } else {
        vec_store_four(v, &limits, y);
    }
}

ENG_INLINE void run_chunk(const chunk *c, uint32_t blocks)
{
    const eng_x86_products *const p = c->p;
    eng_vec acc[8];
    sum_chunk(c, blocks, acc);
#pragma GCC unroll 6
    for (uint32_t b = 0; b < blocks; ++b) {
        const int32_t *const lane = c->lane + (size_t)b * ENG_X86_LANE * ENG_LANES;
        if (p->rounding == ENG_X86_BRIEF) {
            const eng_quick k = quick_constants(lane, ENG_X86_BRIEF);
            acc[b] = vec_quick(acc[b], &k, ENG_X86_BRIEF);
        } else { /* the other quick forms are special cases of one */
            acc[b] = any_codes(acc[b], lane, p->rounding >= ENG_X86_QUICK ? ENG_X86_QUICK : p->rounding, p->y.zero);
        }
    }
#pragma GCC unroll 8
    for (uint32_t b = blocks; b < 8; ++b) {
        acc[b] = acc[0];
    }
    store_codes(acc, &p->clamp, c->count, c->y);
    if (blocks > 4 && c->count > 4 * ENG_LANES) {
        store_codes(acc + 4, &p->clamp, c->count - 4 * ENG_LANES, c->y + 4 * ENG_LANES);
    }
}

static __attribute__((noinline)) void run_any_chunk(const chunk *c, uint32_t blocks)
{
    switch (blocks) {
#define CASE(n)                                                                                                                \
    case n:                                                                                                                    \
        run_chunk(c, n);                                                                                                       \
        break;
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
#undef CASE
    default:
        break;
    }
}

/* Codes as words. */
static void copy_words(const int8_t *x, size_t count, int16_t *words)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        _mm256_storeu_si256((void *)(words + i), _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(x + i))));
    }
    for (; i < count; ++i) {
        words[i] = x[i];
    }
}

void eng_avx2_narrow(const eng_x86_products *p, const void *x, void *y, void *scratch)
{
    const void *const base = (const uint8_t *)p + p->narrow;
    const eng_x86_narrow *const n = base;
    const void *const bias = (const uint8_t *)base + n->bias, *const lane = (const uint8_t *)p + p->lane;
    chunk c = {p, n, x, scratch, (const uint8_t *)base + n->w, bias, lane, 0, y};
    const uint32_t mode = rounding_mode(p->rounding);
    copy_words(x, (size_t)n->mixed * CODES, scratch);
    for (uint32_t first = 0, blocks; first < n->blocks; first += blocks) {
        blocks = eng_x86_narrow_chunk(n->blocks, first);
        const uint32_t left = n->out - first * ENG_LANES;
        c.count = left < blocks * ENG_LANES ? left : blocks * ENG_LANES;
        run_any_chunk(&c, blocks);
        c.w += blocks * VECTOR * (3 * (size_t)n->mixed + n->bytes);
        c.bias += (size_t)blocks * ENG_LANES;
        c.lane += (size_t)blocks * ENG_X86_LANE * ENG_LANES;
        c.y += blocks * ENG_LANES;
    }
    restore_mode(p->rounding, mode);
}
