/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_moved.h"
#include "eng/flash.h"

static uint32_t flash_u24(const uint8_t *p)
{
    return ((uint32_t)eng_flash_u8(p + 2) << 16) | ((uint32_t)eng_flash_u8(p + 1) << 8) | eng_flash_u8(p);
}

/* Sum of w * (x - rest) over one run of cells, modulo 2^32 of which 24 bits count. */
static uint32_t run_sum(const eng_moved *at, uint8_t rows, const int8_t *w, const int8_t *x, uint8_t cells)
{
    uint32_t sum = 0;
    for (uint8_t cell = 0; cell < cells; ++cell) {
        for (uint8_t k = 0; k < at->period; ++k) {
            const int16_t difference = (int16_t)(*x - eng_flash_s8(at->rest + k));
            sum += (uint32_t)((int32_t)eng_flash_s8(w) * difference);
            ++x;
            w += rows;
        }
    }
    return sum;
}

static uint32_t row_sum(const eng_moved *at, uint8_t rows, const int8_t *w, const int8_t *x, const uint8_t *moved)
{
    uint32_t sum = 0;
    uint16_t k = 0;
    for (uint8_t run = 0; run < moved[0]; ++run) {
        const uint8_t gap = moved[1 + 2 * run];
        const uint8_t length = moved[2 + 2 * run];
        k = (uint16_t)(k + (uint16_t)gap * at->period);
        sum += run_sum(at, rows, w + (size_t)k * rows, x + k, length);
        k = (uint16_t)(k + (uint16_t)length * at->period);
    }
    return sum;
}

static void dense_moved(const eng_dense_rows *p, uint8_t rows, const eng_moved *at, const int8_t *x, const uint8_t *moved,
                        uint8_t *sum)
{
    const uint8_t *start = p->start;
    for (uint8_t block = 0; block < p->blocks; ++block) {
        const int8_t *w = p->w + (size_t)block * p->in * rows;
        for (uint8_t n = 0; n < rows; ++n) {
            const uint32_t bits = flash_u24(start) + row_sum(at, rows, w + n, x, moved);
            *sum++ = (uint8_t)bits;
            *sum++ = (uint8_t)(bits >> 8);
            *sum++ = (uint8_t)(bits >> 16);
            start += 3;
        }
    }
}

void eng_dense_moved3_s24(const eng_dense_rows *p, const eng_moved *at, const int8_t *x, const uint8_t *moved, uint8_t *sum)
{
    dense_moved(p, 3, at, x, moved, sum);
}

void eng_dense_moved4_s24(const eng_dense_rows *p, const eng_moved *at, const int8_t *x, const uint8_t *moved, uint8_t *sum)
{
    dense_moved(p, 4, at, x, moved, sum);
}

void eng_dense_moved5_s24(const eng_dense_rows *p, const eng_moved *at, const int8_t *x, const uint8_t *moved, uint8_t *sum)
{
    dense_moved(p, 5, at, x, moved, sum);
}
