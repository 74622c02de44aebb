/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_book.h"
#include "eng/flash.h"

/* Adds the products of one input to a block's sums, modulo 2^32 of which 24 bits count. */
static void add_input(const int8_t *book, uint8_t bits, const uint8_t *w, uint8_t distance, uint32_t *sums)
{
    const uint8_t mask = (uint8_t)((1U << bits) - 1U);
    for (uint8_t n = 0; n < ENG_BOOK_ROWS; ++n) {
        const uint8_t place = (uint8_t)(n * bits);
        const uint8_t index = (uint8_t)((eng_flash_u8(w + place / 8) >> (place % 8)) & mask);
        sums[n] += (uint32_t)((int32_t)eng_flash_s8(book + index) * distance);
    }
}

static void dense_book(const eng_dense_book *p, uint8_t bits, const int8_t *x, const uint8_t *runs, uint8_t *sum)
{
    const uint8_t *start = p->start;
    for (uint8_t block = 0; block < p->blocks; ++block) {
        const uint8_t *w = p->w + (size_t)block * p->in * bits;
        const int8_t *book = p->book + ((size_t)block << bits);
        uint32_t sums[ENG_BOOK_ROWS];
        for (uint8_t n = 0; n < ENG_BOOK_ROWS; ++n) {
            sums[n] = eng_flash_split_s24(start);
            start += 3;
        }
        const int8_t *xk = x;
        const uint8_t *run = runs + 1;
        for (uint8_t left = runs[0]; left > 0; --left) {
            xk += *run;
            w += (uint16_t)*run++ * bits;
            for (uint8_t k = *run++; k > 0; --k) {
                add_input(book, bits, w, (uint8_t)(*xk++ - p->base), sums);
                w += bits;
            }
        }
        for (uint8_t n = 0; n < ENG_BOOK_ROWS; ++n) {
            *sum++ = (uint8_t)sums[n];
            *sum++ = (uint8_t)(sums[n] >> 8);
            *sum++ = (uint8_t)(sums[n] >> 16);
        }
    }
}

void eng_dense_book4_s24(const eng_dense_book *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)
{
    dense_book(p, 4, x, runs, sum);
}

void eng_dense_book2_s24(const eng_dense_book *p, const int8_t *x, const uint8_t *runs, uint8_t *sum)
{
    dense_book(p, 2, x, runs, sum);
}
