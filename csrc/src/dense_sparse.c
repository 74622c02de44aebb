/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_sparse.h"
#include "eng/flash.h"

#define MOST_ROWS 8

/* Adds the products of a block to sums, modulo 2^32 of which 24 bits count; returns where the next block begins. */
static const uint8_t *add_block(const eng_dense_sparse *p, uint8_t rows, const uint8_t *w, const int8_t *x, uint32_t *sums)
{
    for (uint8_t left = eng_flash_u8(w++); left > 0; left = eng_flash_u8(w++)) {
        for (; left > 0; --left) {
            x += eng_flash_u8(w++);
            const uint8_t distance = (uint8_t)(*x - p->base);
            for (uint8_t n = 0; n < rows; ++n) {
                sums[n] += (uint32_t)((int32_t)eng_flash_s8((const int8_t *)w++) * distance);
            }
        }
    }
    return w;
}

static void dense_sparse(const eng_dense_sparse *p, uint8_t rows, const int8_t *x, uint8_t *sum)
{
    const uint8_t *start = p->start;
    const uint8_t *w = p->w;
    for (uint8_t block = 0; block < p->blocks; ++block) {
        uint32_t sums[MOST_ROWS];
        for (uint8_t n = 0; n < rows; ++n) {
            sums[n] = eng_flash_split_s24(start);
            start += 3;
        }
        w = add_block(p, rows, w, x, sums);
        for (uint8_t n = 0; n < rows; ++n) {
            *sum++ = (uint8_t)sums[n];
            *sum++ = (uint8_t)(sums[n] >> 8);
            *sum++ = (uint8_t)(sums[n] >> 16);
        }
    }
}

void eng_dense_sparse1_s24(const eng_dense_sparse *p, const int8_t *x, uint8_t *sum)
{
    dense_sparse(p, 1, x, sum);
}

void eng_dense_sparse4_s24(const eng_dense_sparse *p, const int8_t *x, uint8_t *sum)
{
    dense_sparse(p, 4, x, sum);
}

void eng_dense_sparse8_s24(const eng_dense_sparse *p, const int8_t *x, uint8_t *sum)
{
    dense_sparse(p, 8, x, sum);
}
