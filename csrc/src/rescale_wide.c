/* SPDX-License-Identifier: Apache-2.0 */
/* The product of a 31-bit and a 53-bit number is kept as 2^32 * top + rest. */
#include "eng/quant.h"

#define FRACTION_HIGH UINT32_C(0xfffff) /* bits of `high` that belong to the fraction */

/* Bits that v has beyond 21. */
static uint8_t bits_beyond_21(uint64_t v)
{
    uint8_t n = 0;
    for (uint32_t rest = (uint32_t)(v >> 21); rest != 0; rest >>= 1) {
        ++n;
    }
    return n;
}

/* a * ratio in double, to nearest, half up, at most INT32_MAX; 0 < a <= 2^31. */
static int32_t magnitude(uint32_t a, const eng_ratio *r)
{
    const uint64_t low = (uint64_t)a * r->low;
    const uint64_t top = (uint64_t)a * ((r->high & FRACTION_HIGH) + FRACTION_HIGH + 1) + (low >> 32); /* < 2^53 */
    const uint32_t rest = (uint32_t)low;
    const uint8_t n = bits_beyond_21(top); /* of the product beyond 53: at most 31 */
    uint64_t q = top << (32 - n) | rest >> n;
    const uint32_t lost = n == 0 ? 0 : rest << (32 - n);
    const uint32_t half = UINT32_C(1) << 31;
    q += lost > half || (lost == half && (q & 1) != 0); /* the double's own rounding: half to even */
    const int16_t shift = (int16_t)(1075 - (int16_t)(r->high >> 20) - n);
    if (shift <= 0) {
        return INT32_MAX;
    }
    const uint64_t v = shift > 54 ? 0 : ((q >> (shift - 1)) + 1) >> 1;
    return v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

int32_t eng_rescale_wide(int32_t acc, const eng_ratio *r)
{
    if (acc == 0 || r->high == 0) {
        return 0;
    }
    return acc < 0 ? -magnitude(UINT32_C(0) - (uint32_t)acc, r) : magnitude((uint32_t)acc, r);
}

int8_t eng_requant_wide_s8(int32_t acc, const eng_ratio *r, const eng_output_s8 *y)
{
    const int32_t v = eng_rescale_wide(acc, r);
    if (v < (int32_t)y->lo - y->zero) {
        return y->lo;
    }
    return v > (int32_t)y->hi - y->zero ? y->hi : (int8_t)(v + y->zero);
}
