/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings.h"
#include "eng/flash.h"

static int32_t read_s24(const uint8_t *sum)
{
    const uint32_t bits = ((uint32_t)sum[2] << 24) | ((uint32_t)sum[1] << 16) | ((uint32_t)sum[0] << 8);
    return (int32_t)bits >> 8;
}

static int8_t code_of(const eng_requant_s24 *p, const eng_step *step, int32_t sum, uint8_t shift)
{
    if (sum < 0 && p->negative_is_lo != 0) {
        return p->lo;
    }
    const int64_t product = (int64_t)sum * eng_flash_u32(&step->mult);
    const int64_t offset = (int64_t)eng_flash_u32(&step->offset) << (shift - 24);
    const int64_t code = ((product + offset) >> shift) - 128;
    return code < p->lo ? p->lo : code > p->hi ? p->hi : (int8_t)code;
}

static void requant(const eng_requant_s24 *p, const uint8_t *sum, int8_t *y, uint8_t shift)
{
    for (uint16_t n = 0; n < p->count; ++n) {
        y[n] = code_of(p, p->step + n, read_s24(sum + (size_t)3 * n), shift);
    }
}

void eng_requant32_s24_s8(const eng_requant_s24 *p, const uint8_t *sum, int8_t *y)
{
    requant(p, sum, y, 32);
}

void eng_requant40_s24_s8(const eng_requant_s24 *p, const uint8_t *sum, int8_t *y)
{
    requant(p, sum, y, 40);
}
