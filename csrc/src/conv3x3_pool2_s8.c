/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings.h"
#include "eng/flash.h"

static uint32_t flash_u24(const uint8_t *p)
{
    return ((uint32_t)eng_flash_u8(p + 2) << 16) | ((uint32_t)eng_flash_u8(p + 1) << 8) | eng_flash_u8(p);
}

static uint32_t flash_u32(const uint8_t *p)
{
    return ((uint32_t)eng_flash_u8(p + 3) << 24) | flash_u24(p);
}

static uint8_t is_still(const eng_conv3x3_pool2 *p, const int8_t *x)
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

static int32_t sum_at(const int8_t *w, const int8_t *x, uint8_t in_w)
{
    int32_t sum = 0;
    for (uint8_t i = 0; i < 3; ++i) {
        for (uint8_t j = 0; j < 3; ++j) {
            sum += (int16_t)(x[(uint16_t)i * in_w + j] * eng_flash_s8(w + 3 * i + j));
        }
    }
    return sum;
}

static int32_t largest_sum(const eng_filter3x3 *filter, const int8_t *x, uint8_t in_w)
{
    int32_t largest = INT32_MIN;
    for (uint8_t i = 0; i < 2; ++i) {
        for (uint8_t j = 0; j < 2; ++j) {
            const int32_t sum = sum_at(filter->w, x + (uint16_t)i * in_w + j, in_w);
            largest = sum > largest ? sum : largest;
        }
    }
    return largest + ((int32_t)(flash_u24(filter->bias) << 8) >> 8);
}

static int8_t code_of(const eng_conv3x3_pool2 *p, const eng_filter3x3 *filter, int32_t sum)
{
    const int16_t lo = (int16_t)(eng_flash_u8(&filter->lo) - 128);
    const int16_t hi = (int16_t)(eng_flash_u8(&filter->hi) - 128);
    if (sum < 0 && p->negative_is_lo != 0) {
        return (int8_t)lo;
    }
    const int64_t product = (int64_t)sum * flash_u32(filter->mult);
    const uint8_t shift = p->shift32 != 0 ? 32 : 40;
    const int64_t code = ((product + ((int64_t)flash_u32(filter->offset) << (shift - 24))) >> shift) - 128;
    return (int8_t)(code < lo ? lo : code > hi ? hi : code);
}

void eng_conv3x3_pool2_s8(const eng_conv3x3_pool2 *p, const int8_t *x, int8_t *y)
{
    for (uint8_t row = 0; row < p->out_h; ++row) {
        for (uint8_t column = 0; column < p->out_w; ++column) {
            const int8_t *window = x + (uint16_t)row * 2U * p->in_w + 2U * column;
            const uint8_t still = is_still(p, window);
            for (uint8_t n = 0; n < p->out_c; ++n) {
                const eng_filter3x3 *filter = p->filter + n;
                *y++ = still ? eng_flash_s8(p->still + n) : code_of(p, filter, largest_sum(filter, window, p->in_w));
            }
        }
    }
}
