/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_short.h"
#include "eng/flash.h"

static uint32_t flash_u24(const uint8_t *p)
{
    return ((uint32_t)eng_flash_u8(p + 2) << 16) | ((uint32_t)eng_flash_u8(p + 1) << 8) | eng_flash_u8(p);
}

static int8_t code_of(const eng_requant_short *p, const eng_short_step *step, const uint8_t *sum)
{
    if (sum[2] >= 0x80) {
        return p->lo;
    }
    const uint32_t over = (((uint32_t)sum[2] << 16) | ((uint32_t)sum[1] << 8) | sum[0]) << p->doublings;
    const uint32_t steps = (uint32_t)(((uint64_t)over * flash_u24(step->mult) + (flash_u24(step->offset) << 8)) >> 32);
    const int16_t most = (int16_t)(p->hi - p->lo - 1);
    return (int8_t)(p->lo + 1 + (int16_t)(steps > (uint16_t)most ? (uint16_t)most : steps));
}

void eng_requant_short_s24_s8(const eng_requant_short *p, const uint8_t *sum, int8_t *y)
{
    for (uint16_t n = 0; n < p->count; ++n) {
        for (uint8_t i = 0; i < p->copies; ++i) {
            y[(size_t)i * p->count + n] = code_of(p, p->step + n, sum);
            sum += 3;
        }
    }
}
