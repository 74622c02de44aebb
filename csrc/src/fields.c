/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_bits.h"
#include "eng/flash.h"

static uint32_t read_u24(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

/* Takes 24 bits as a signed number and divides it by 2^shift, rounding down. */
static int32_t signed_shift(uint32_t bits, uint8_t shift)
{
    return (int32_t)(bits << 8) >> (8 + shift);
}

void eng_fields_s24(const eng_dense_bits *p, uint8_t rows, uint8_t bits, uint32_t inputs, uint8_t *sum)
{
    const uint32_t zeros = inputs * (uint32_t)ENG_BITS_ZERO(bits);
    const uint8_t *start = p->start;
    uint32_t below = 0;
    uint8_t shift = 0;
    for (uint16_t left = (uint16_t)(p->blocks * rows); left > 0; --left) {
        const uint32_t fields = read_u24(sum);
        const uint32_t begin =
            eng_flash_u8(start) | (uint32_t)eng_flash_u8(start + 1) << 8 | (uint32_t)eng_flash_u8(start + 2) << 16;
        const uint32_t bits24 = begin + (uint32_t)signed_shift(fields - below - (zeros << shift), shift);
        *sum++ = (uint8_t)bits24;
        *sum++ = (uint8_t)(bits24 >> 8);
        *sum++ = (uint8_t)(bits24 >> 16);
        start += 3;
        shift = (uint8_t)(shift + bits);
        below = fields;
        if (shift == 8) {
            shift = 0;
            below = 0;
        }
    }
}
