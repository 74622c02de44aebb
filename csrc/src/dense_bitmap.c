/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_sparse.h"
#include "eng/flash.h"

/* Adds a product to a sum of three bytes, modulo 2^24. */
static void add(uint8_t *sum, int16_t product)
{
    const uint32_t bits = ((uint32_t)sum[0] | (uint32_t)sum[1] << 8 | (uint32_t)sum[2] << 16) + (uint32_t)(int32_t)product;
    sum[0] = (uint8_t)bits;
    sum[1] = (uint8_t)(bits >> 8);
    sum[2] = (uint8_t)(bits >> 16);
}

/* Adds the products of the rows of a byte of bits; returns where the weights end. */
static const uint8_t *add_rows(uint8_t present, const uint8_t *w, uint8_t distance, uint8_t *sum)
{
    for (; present != 0; present >>= 1) {
        if ((present & 1U) != 0) {
            add(sum, (int16_t)(eng_flash_s8((const int8_t *)w++) * distance));
        }
        sum += 3;
    }
    return w;
}

void eng_dense_bitmap_s24(const eng_dense_bitmap *p, const int8_t *x, uint8_t *sum)
{
    const uint8_t *record = p->w;
    for (uint8_t row = 0; row < 8 * p->bytes; ++row) {
        const uint32_t bits = eng_flash_split_s24(p->start + (size_t)3 * row);
        sum[3 * row] = (uint8_t)bits;
        sum[3 * row + 1] = (uint8_t)(bits >> 8);
        sum[3 * row + 2] = (uint8_t)(bits >> 16);
    }
    for (uint16_t left = p->records; left > 0; --left) {
        x += eng_flash_u8(record);
        const uint8_t distance = (uint8_t)(*x - p->base);
        const uint8_t *end = record + 2 + eng_flash_u8(record + 1);
        const uint8_t *w = distance == 0 ? end : record + 2;
        for (uint8_t n = 0; distance != 0 && n < p->bytes; ++n) {
            const uint8_t present = eng_flash_u8(w++);
            w = add_rows(present, w, distance, sum + 24 * n);
        }
        record = end;
    }
}
