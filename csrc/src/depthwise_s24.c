/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_depthwise.h"
#include "eng/flash.h"

static int32_t start_of(const uint8_t *filter)
{
    const uint32_t bits = ((uint32_t)eng_flash_u8(filter + 2) << 24) | ((uint32_t)eng_flash_u8(filter + 1) << 16) |
                          ((uint32_t)eng_flash_u8(filter) << 8);
    return (int32_t)bits >> 8;
}

static uint8_t *write_sum(const eng_depthwise *p, const uint8_t *filter, const int8_t *x, uint8_t *sum)
{
    const uint8_t *distance = p->distance, *w = filter + 3;
    int32_t total = start_of(filter);
    uint8_t next;
    do {
        total += (int16_t)((int8_t)eng_flash_u8(w++) * *x);
        next = *distance++;
        x += next;
    } while (next != 0);
    *sum++ = (uint8_t)total;
    *sum++ = (uint8_t)((uint32_t)total >> 8);
    *sum++ = (uint8_t)((uint32_t)total >> 16);
    return sum;
}

static void all_sums(const eng_depthwise *p, const uint8_t *filter, const int8_t *plane, uint8_t *sum, uint8_t rows)
{
    for (uint8_t row = 0; row < rows; ++row) {
        for (uint8_t column = 0; column < p->out_w; ++column) {
            sum = write_sum(p, filter, plane + (size_t)row * p->row_step + column, sum);
        }
    }
}

void eng_depthwise4_s24(const eng_depthwise *p, const uint8_t *filter, const int8_t *plane, uint8_t *sum, uint8_t rows)
{
    all_sums(p, filter, plane, sum, rows);
}

void eng_depthwise7_s24(const eng_depthwise *p, const uint8_t *filter, const int8_t *plane, uint8_t *sum, uint8_t rows)
{
    all_sums(p, filter, plane, sum, rows);
}
