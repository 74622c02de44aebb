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

/* Sum of x[k] - base over the inputs in runs. */
static uint32_t runs_sum(const eng_dense_bits *p, const int8_t *x, const uint8_t *runs)
{
    uint32_t sum = 0;
    for (uint8_t left = *runs++; left > 0; --left) {
        x += *runs++;
        for (uint8_t k = *runs++; k > 0; --k) {
            sum += (uint8_t)(*x++ - p->base);
        }
    }
    return sum;
}

static uint32_t read_u24(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static void write_u24(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
    p[2] = (uint8_t)(value >> 16);
}

/* Takes 24 bits as a signed number and divides it by 2^shift, rounding down. */
static int32_t signed_shift(uint32_t bits, uint8_t shift)
{
    return (int32_t)(bits << 8) >> (8 + shift);
}

/* Sums of the lowest fields of a byte, of the lowest two, and so on, modulo 2^24, become those of the rows; inputs is
 * runs_sum's. */
static void fields(const eng_dense_bits *p, layout at, uint32_t inputs, uint8_t *sum)
{
    const uint32_t zeros = inputs * (uint32_t)ENG_BITS_ZERO(at.bits);
    const uint8_t *start = p->start;
    for (uint16_t bytes = (uint16_t)(p->blocks * at.bytes); bytes > 0; --bytes) {
        uint32_t below = 0;
        for (uint8_t shift = 0; shift < 8; shift = (uint8_t)(shift + at.bits)) {
            const uint32_t total = read_u24(sum);
            const int32_t row = signed_shift(total - below - (zeros << shift), shift);
            const uint32_t begin =
                eng_flash_u8(start) | (uint32_t)eng_flash_u8(start + 1) << 8 | (uint32_t)eng_flash_u8(start + 2) << 16;
            write_u24(sum, begin + (uint32_t)row);
            below = total;
            start += 3;
            sum += 3;
        }
    }
}

static void dense_bits(const eng_dense_bits *p, layout at, const int8_t *x, const uint8_t *runs, uint8_t *sum)
{
    uint8_t *y = sum;
    for (uint8_t block = 0; block < p->blocks; ++block) {
        field_sum sums[MOST_BYTES][MOST_FIELDS] = {{{0, 0}}};
        add_runs(sums, at, p, p->w + (size_t)block * p->in * at.bytes, x, runs);
        for (uint8_t n = 0; n < at.bytes; ++n) {
            for (uint8_t f = 0; f < 8 / at.bits; ++f, y += 3) {
                write_u24(y, sums[n][f].wide + ((uint32_t)sums[n][f].moved << 8));
            }
        }
    }
    fields(p, at, runs_sum(p, x, runs), sum);
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
