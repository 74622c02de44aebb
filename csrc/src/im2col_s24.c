/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_im2col.h"
#include "eng/flash.h"

static uint32_t read_u24(const uint8_t *p)
{
    return ((uint32_t)p[2] << 16) | ((uint32_t)p[1] << 8) | p[0];
}

static void write_s24(int32_t value, uint8_t *sum)
{
    sum[0] = (uint8_t)value;
    sum[1] = (uint8_t)((uint32_t)value >> 8);
    sum[2] = (uint8_t)((uint32_t)value >> 16);
}

static int32_t signed24(uint32_t value)
{
    return (int32_t)(value << 8) >> 8;
}

/* Sum of filter r of a block and position i. */
static int32_t sum_of(const uint8_t *stream, uint8_t rows, uint8_t r, uint16_t taps, const uint8_t *patch, uint8_t i)
{
    const uint8_t *start = stream + 3 * r;
    const uint8_t *v = stream + 3 * rows + r, *u = patch + 6 + i;
    uint32_t sum = ((uint32_t)eng_flash_u8(start + 2) << 16) | ((uint32_t)eng_flash_u8(start + 1) << 8) | eng_flash_u8(start);
    sum += read_u24(patch + 3 * i);
    for (uint16_t k = taps; k != 0; --k) {
        sum += (uint16_t)((uint16_t)eng_flash_u8(v) * *u);
        v += rows;
        u += 2;
    }
    return signed24(sum);
}

static void all_blocks(const eng_im2col_filters *p, const uint8_t *patch, uint8_t *sum, uint8_t largest, uint8_t rows)
{
    const uint8_t *stream = p->stream;
    for (uint8_t n = p->blocks; n != 0; --n) {
        for (uint8_t r = 0; r < rows; ++r) {
            const int32_t first = sum_of(stream, rows, r, p->taps, patch, 0),
                          second = sum_of(stream, rows, r, p->taps, patch, 1);
            if (largest) {
                const int32_t larger = first > second ? first : second, before = signed24(read_u24(sum));
                write_s24(larger > before ? larger : before, sum);
                sum += 3;
            } else {
                write_s24(first, sum);
                write_s24(second, sum + 3);
                sum += 6;
            }
        }
        stream += (size_t)rows * (3U + p->taps);
    }
}

void eng_im2col2_s24(const eng_im2col_filters *p, const uint8_t *patch, uint8_t *sum, uint8_t largest)
{
    all_blocks(p, patch, sum, largest, 2);
}

void eng_im2col3_s24(const eng_im2col_filters *p, const uint8_t *patch, uint8_t *sum, uint8_t largest)
{
    all_blocks(p, patch, sum, largest, 3);
}

void eng_im2col2_moving_s24(const eng_im2col_filters *p, const uint8_t *patch, uint8_t *sum, uint8_t largest)
{
    all_blocks(p, patch, sum, largest, 2);
}

void eng_im2col3_moving_s24(const eng_im2col_filters *p, const uint8_t *patch, uint8_t *sum, uint8_t largest)
{
    all_blocks(p, patch, sum, largest, 3);
}
