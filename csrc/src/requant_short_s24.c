/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_short.h"
#include "eng/flash.h"

static uint32_t flash_u24(const uint8_t *p)
{
    return ((uint32_t)eng_flash_u8(p + 2) << 16) | ((uint32_t)eng_flash_u8(p + 1) << 8) | eng_flash_u8(p);
}

/* What all sums have in common. */
typedef struct {
    uint8_t doublings, shift;
    int8_t lo;
    uint8_t most; /* steps of a code less lo + 1 */
} rule;

static rule rule_of(uint8_t doublings, uint8_t shift, int8_t lo, int8_t hi)
{
    const rule r = {doublings, shift, lo, (uint8_t)(hi - lo - 1)};
    return r;
}

static int8_t code_of(const rule *r, const eng_short_step *step, const uint8_t *sum)
{
    if (sum[2] >= 0x80) {
        return r->lo;
    }
    const uint32_t over = (((uint32_t)sum[2] << 16) | ((uint32_t)sum[1] << 8) | sum[0]) << r->doublings;
    const uint32_t steps = (uint32_t)(((uint64_t)over * flash_u24(step->mult) + (flash_u24(step->offset) << 8)) >> r->shift);
    return (int8_t)(r->lo + 1 + (int16_t)(steps > r->most ? r->most : steps));
}

void eng_requant_short_s24_s8(const eng_requant_short *p, const uint8_t *sum, int8_t *y)
{
    const rule r = rule_of(p->doublings, 32, p->lo, p->hi);
    for (uint16_t n = 0; n < p->count; ++n) {
        for (uint8_t i = 0; i < p->copies; ++i) {
            y[(size_t)i * p->count + n] = code_of(&r, p->step + n, sum);
            sum += 3;
        }
    }
}

void eng_requant_each_s24_s8(const eng_requant_each *p, const uint8_t *sum, int8_t *y)
{
    const rule r = rule_of(p->doublings, 32, p->lo, p->hi);
    for (uint8_t n = 0; n < p->sums; ++n) {
        y[n] = code_of(&r, p->step + n, sum);
        sum += 3;
    }
}

void eng_requant_short_channel_s24_s8(const eng_requant_short_channel *p, const eng_short_step *step, const uint8_t *sum,
                                      int8_t *y, uint16_t count)
{
    const rule r = rule_of(p->doublings, 32, p->lo, p->hi);
    for (size_t n = 0; n < count; ++n) {
        y[n * p->stride] = code_of(&r, step, sum);
        sum += 3;
    }
}

void eng_requant_same_s24_s8(const eng_requant_same *p, const uint8_t *sum, int8_t *y)
{
    const rule r = rule_of(p->doublings, (uint8_t)(32 + p->halvings), p->lo, p->hi);
    for (uint8_t i = 0; i < p->sums; ++i) {
        y[i] = code_of(&r, p->step, sum);
        sum += 3;
    }
}
