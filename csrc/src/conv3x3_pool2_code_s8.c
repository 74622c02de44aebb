/* SPDX-License-Identifier: Apache-2.0 */
/* Computes with the widths of the generated code, so that a wrong proof shows on the host. */
#include "eng/encodings_conv.h"
#include "eng/flash.h"

static uint8_t is_still(const eng_conv3x3_code *p, const int8_t *x)
{
    for (uint8_t i = 0; i < 4; ++i) {
        for (uint8_t j = 0; j < 4; ++j) {
            if (x[(uint16_t)i * p->in_w + j] != p->zero_x) {
                return 0;
            }
        }
    }
    return 1;
}

static uint16_t sum_at(const eng_filter3x3_code *filter, const int8_t *x, uint8_t in_w)
{
    uint16_t sum = (uint16_t)((uint16_t)eng_flash_u8(&filter->raise) << 8);
    for (uint8_t i = 0; i < 3; ++i) {
        for (uint8_t j = 0; j < 3; ++j) {
            const int16_t input = (int16_t)(x[(uint16_t)i * in_w + j] + 128);
            sum = (uint16_t)(sum + (uint16_t)((int32_t)eng_flash_s8(filter->w + 3 * i + j) * input));
        }
    }
    return sum;
}

static uint16_t largest_sum(const eng_filter3x3_code *filter, const int8_t *x, uint8_t in_w)
{
    uint16_t largest = 0;
    for (uint8_t i = 0; i < 2; ++i) {
        for (uint8_t j = 0; j < 2; ++j) {
            const uint16_t sum = sum_at(filter, x + (uint16_t)i * in_w + j, in_w);
            largest = sum > largest ? sum : largest;
        }
    }
    return largest;
}

static int8_t code_of(const eng_filter3x3_code *filter, uint16_t sum, uint8_t shift)
{
    const uint16_t start = (uint16_t)(eng_flash_u8(filter->start) | (uint16_t)(eng_flash_u8(filter->start + 1) << 8));
    if (sum < start) {
        return -128;
    }
    const uint32_t product = (uint32_t)(uint16_t)(sum - start) * eng_flash_u8(&filter->mult) + eng_flash_u8(&filter->offset);
    const uint32_t code = product >> shift;
    return (int8_t)((int16_t)(code > 255 ? 255 : code) - 128);
}

void eng_conv3x3_pool2_code_s8(const eng_conv3x3_code *p, const int8_t *x, int8_t *y)
{
    for (uint8_t row = 0; row < p->out_h; ++row) {
        for (uint8_t column = 0; column < p->out_w; ++column) {
            const int8_t *window = x + (uint16_t)row * 2U * p->in_w + 2U * column;
            const uint8_t still = is_still(p, window);
            for (uint8_t n = 0; n < p->out_c; ++n) {
                const eng_filter3x3_code *filter = p->filter + n;
                *y++ = still ? eng_flash_s8(p->still + n) : code_of(filter, largest_sum(filter, window, p->in_w), p->shift);
            }
        }
    }
}
