/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/flash.h"
#include "eng/infer_s8.h"

#define Q29_ONE            (INT32_C(1) << 29)
#define Q29_48_OVER_17     INT32_C(1515870810)
#define Q29_NEG_32_OVER_17 INT32_C(-1010580540)

/* hi(e, mult) / 2^shift = 256 * e / sum, e in Q0.31 and sum in Q12.19. */
typedef struct {
    int32_t mult; /* Q0.31 */
    uint8_t shift;
} reciprocal;

/* sum = d * 2^(32 - zeros), 1/2 <= d < 1, zeros = leading zero bits; 2^19 <= sum < 2^31.
 * 1/d by Newton: x <- x + x (1 - d x) in Q2.29, from the chord 48/17 - 32/17 d, whose error is at most 1/17. */
static reciprocal reciprocal_of(uint32_t sum)
{
    uint8_t zeros = 0;
    while (sum < UINT32_C(0x80000000)) {
        sum <<= 1;
        ++zeros;
    }
    const int32_t d = (int32_t)(sum >> 1); /* Q0.31 */
    int32_t x = Q29_48_OVER_17 + eng_high_s32(d, Q29_NEG_32_OVER_17);
    for (uint8_t i = 0; i < 3; ++i) {
        /* |1 - d x| <= 1/17 and x < 2.1, so that their product in Q4.27 fits Q2.29. */
        x += eng_high_s32(x, Q29_ONE - eng_high_s32(d, x)) * 4;
    }
    /* 1/d is in (1, 2]: the half of it in Q0.31, 1 saturated. */
    const reciprocal r = {x >= INT32_C(0x40000000) ? INT32_MAX : x * 2, (uint8_t)(35 - zeros)};
    return r;
}

/* exp of x's difference to the largest, 0 where it vanishes. */
static int32_t exponential(const eng_softmax_s8_params *p, int8_t largest, int8_t x)
{
    const uint8_t difference = (uint8_t)(largest - x);
    return difference < p->table_size ? eng_flash_s32(p->table + difference) : 0;
}

static void one_row(const eng_softmax_s8_params *p, const int8_t *x, int8_t *y)
{
    int8_t largest = INT8_MIN;
    for (uint16_t i = 0; i < p->size; ++i) {
        largest = x[i] > largest ? x[i] : largest;
    }
    uint32_t sum = 0;
    for (uint16_t i = 0; i < p->size; ++i) {
        sum += (uint32_t)eng_divide_s32(exponential(p, largest, x[i]), 12);
    }
    const reciprocal r = reciprocal_of(sum);
    for (uint16_t i = 0; i < p->size; ++i) {
        const int32_t share = eng_divide_s32(eng_high_s32(exponential(p, largest, x[i]), r.mult), r.shift);
        y[i] = share > 255 ? INT8_MAX : (int8_t)(share - 128);
    }
}

void eng_softmax_s8(const eng_softmax_s8_params *p, const int8_t *x, int8_t *y)
{
    for (uint32_t row = 0; row < p->rows; ++row) {
        one_row(p, x, y);
        x += p->size;
        y += p->size;
    }
}
