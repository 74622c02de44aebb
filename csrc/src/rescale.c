/* SPDX-License-Identifier: Apache-2.0 */
/* Products of 64 bits are kept as two halves and shifted by hand: on AVR only the unsigned product and one shift are library
 * calls then (190 bytes), where int64_t throughout needs 2.5 KB. Right shifts of negative numbers are arithmetic, as every
 * supported compiler has it. */
#include "eng/quant.h"

_Static_assert((INT32_C(-3) >> 1) == INT32_C(-2), "right shifts of negative numbers must be arithmetic");

typedef struct {
    int32_t high;
    uint32_t low;
} product;

/* a * b: the product of the bit patterns, less 2^32 times the other factor for each negative one. */
static product multiply(int32_t a, int32_t b)
{
    const uint64_t bits = (uint64_t)(uint32_t)a * (uint32_t)b;
    uint32_t high = (uint32_t)(bits >> 32);
    if (a < 0) {
        high -= (uint32_t)b;
    }
    if (b < 0) {
        high -= (uint32_t)a;
    }
    const product p = {(int32_t)high, (uint32_t)bits};
    return p;
}

/* v / 2 to nearest, ties towards +infinity. */
static int32_t half_up(int32_t v)
{
    return (v >> 1) + (v & INT32_C(1));
}

int32_t eng_high_s32(int32_t a, int32_t b)
{
    const product p = multiply(a, b);
    const uint32_t floor_bits = ((uint32_t)p.high << 1) | (p.low >> 31);
    return (int32_t)(floor_bits + ((p.low >> 30) & UINT32_C(1)));
}

int32_t eng_divide_s32(int32_t v, uint8_t n)
{
    if (n == 0) {
        return v;
    }
    if (n > 31) {
        return 0;
    }
    /* Ties of negative numbers go down: one less before rounding half up. */
    return half_up((v - (v < 0)) >> (n - 1));
}

int32_t eng_rescale_double(int32_t acc, const eng_rescale *r)
{
    return eng_divide_s32(eng_high_s32((int32_t)((uint32_t)acc << r->left), r->mult), r->right);
}

int32_t eng_rescale_single(int32_t acc, const eng_rescale *r)
{
    product p = multiply(acc, r->mult);
    if (acc < 0) { /* ties of negative numbers go down: one less before rounding half up */
        p.high -= p.low == 0;
        --p.low;
    }
    const uint8_t shift = (uint8_t)(31 - r->left + r->right);
    if (shift > 32) {
        return half_up(p.high >> (shift - 33));
    }
    if (shift == 32) {
        return (int32_t)((uint32_t)p.high + (p.low >> 31));
    }
    const uint32_t floor_bits = ((uint32_t)p.high << (32 - shift)) | (p.low >> shift);
    return (int32_t)(floor_bits + ((p.low >> (shift - 1)) & UINT32_C(1)));
}

static int8_t clamp(int32_t v, const eng_output_s8 *y)
{
    const int32_t code = (int32_t)((uint32_t)v + (uint32_t)(int32_t)y->zero);
    if (code < y->lo) {
        return y->lo;
    }
    return code > y->hi ? y->hi : (int8_t)code;
}

int8_t eng_requant_double_s8(int32_t acc, const eng_rescale *r, const eng_output_s8 *y)
{
    return clamp(eng_rescale_double(acc, r), y);
}

int8_t eng_requant_single_s8(int32_t acc, const eng_rescale *r, const eng_output_s8 *y)
{
    return clamp(eng_rescale_single(acc, r), y);
}
