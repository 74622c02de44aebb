/* SPDX-License-Identifier: Apache-2.0 */
/* Computes exactly as the 8-bit twin does, 16-bit sums of low fields and all, so that a wrong bound shows on the host. */
#include "eng/encodings_bits.h"
#include "eng/flash.h"

#define MOST_BYTES  4
#define MOST_FIELDS 4
#define LOW_MASK    15U

/* Sum of the products of some fields of a byte, those below a mask. */
typedef struct {
    uint32_t
        wide; /* modulo 2^32, of which 24 bits count; for masks up to LOW_MASK 16 bits, over what was left in the low byte */
    uint16_t moved; /* sum of the high bytes before, for those masks */
} field_sum;

typedef struct {
    uint8_t bits, bytes; /* of a field; of an input */
} layout;

static void add_input(field_sum sums[][MOST_FIELDS], layout at, const uint8_t *w, uint8_t x)
{
    for (uint8_t n = 0; n < at.bytes; ++n) {
        const uint8_t fields = eng_flash_u8(w + n);
        for (uint8_t f = 0, top = at.bits; top <= 8; ++f, top = (uint8_t)(top + at.bits)) {
            const uint8_t mask = (uint8_t)((1U << top) - 1U);
            const uint16_t product = (uint16_t)((uint16_t)(fields & mask) * x);
            sums[n][f].wide += product;
            if (mask <= LOW_MASK) {
                sums[n][f].wide &= 0xFFFFU;
            }
        }
    }
}

static void move_high_bytes(field_sum sums[][MOST_FIELDS], layout at)
{
    for (uint8_t n = 0; n < at.bytes; ++n) {
        for (uint8_t f = 0; (uint8_t)((f + 1) * at.bits) <= 4; ++f) {
            sums[n][f].moved = (uint16_t)(sums[n][f].moved + (sums[n][f].wide >> 8));
            sums[n][f].wide &= 0xFFU;
        }
    }
}

static void add_runs(field_sum sums[][MOST_FIELDS], layout at, const eng_dense_bits *p, const uint8_t *w, const int8_t *x,
                     const uint8_t *runs)
{
    uint8_t depth = 0;
    for (uint8_t left = *runs++; left > 0; --left) {
        x += *runs;
        w += (uint16_t)*runs++ * at.bytes;
        for (uint8_t k = *runs++; k > 0; --k) {
            add_input(sums, at, w, (uint8_t)(*x++ - p->base));
            w += at.bytes;
            if (++depth == ENG_BITS_DEPTH) {
                move_high_bytes(sums, at);
                depth = 0;
            }
        }
    }
    move_high_bytes(sums, at);
}

static void dense_bits(const eng_dense_bits *p, layout at, const int8_t *x, const uint8_t *runs, uint8_t *sum)
{
    uint8_t *y = sum;
    const uint8_t fields = (uint8_t)(8 / at.bits);
    for (uint8_t block = 0; block < p->blocks; ++block) {
        field_sum sums[MOST_BYTES][MOST_FIELDS] = {{{0, 0}}};
        add_runs(sums, at, p, p->w + (size_t)block * p->in * at.bytes, x, runs);
        for (uint8_t n = 0; n < at.bytes; ++n) {
            for (uint8_t f = 0; f < fields; ++f) {
                const uint32_t total = sums[n][f].wide + ((uint32_t)sums[n][f].moved << 8);
                *y++ = (uint8_t)total;
                *y++ = (uint8_t)(total >> 8);
                *y++ = (uint8_t)(total >> 16);
            }
        }
    }
    eng_fields_s24(p, (uint8_t)(at.bytes * fields), at.bits, eng_runs_sum_u24(x, p->base, runs), sum);
}

void eng_dense_bits4_rows4_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)
{
    const layout at = {4, 2};
    dense_bits(p, at, x, runs, sum);
}

void eng_dense_bits4_rows8_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)
{
    const layout at = {4, 4};
    dense_bits(p, at, x, runs, sum);
}

void eng_dense_bits2_rows4_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)
{
    const layout at = {2, 1};
    dense_bits(p, at, x, runs, sum);
}

void eng_dense_bits2_rows8_s24(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)
{
    const layout at = {2, 2};
    dense_bits(p, at, x, runs, sum);
}
