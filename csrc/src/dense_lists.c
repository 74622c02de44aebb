/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_lists.h"
#include "eng/flash.h"

/* Controls above begin no list, but go on with one. */
#define LAST_BEGIN 128

/* Adds up the inputs, less base, of entries; *at is the input of the entry before, and then that of the last. */
static uint16_t add_inputs(const uint8_t *entries, uint8_t count, int8_t base, const int8_t **at)
{
    uint16_t total = 0;
    for (uint8_t n = 0; n < count; ++n) {
        *at += eng_flash_u8(entries + n);
        total = (uint16_t)(total + (uint8_t)(**at - base));
    }
    return total;
}

/* Adds the lists of a row to a sum, modulo 2^32 of which 24 bits count; returns where the next row begins. */
static const uint8_t *add_row(const uint8_t *w, const int8_t *x, int8_t base, uint32_t *sum)
{
    int32_t weight = 0;
    const int8_t *at = x;
    for (uint8_t control = eng_flash_u8(w++); control != 0; control = eng_flash_u8(w++)) {
        uint8_t count = (uint8_t)(control - 1);
        if (control <= LAST_BEGIN) {
            weight = eng_flash_s8((const int8_t *)w++);
            at = x;
        } else {
            count = (uint8_t)(control - LAST_BEGIN);
            at += (uint16_t)(eng_flash_u8(w++) << 8);
        }
        *sum += (uint32_t)(weight * add_inputs(w, count, base, &at));
        w += count;
    }
    return w;
}

void eng_dense_lists_s24(const eng_dense_lists *p, const int8_t *x, uint8_t *sum)
{
    const uint8_t *w = p->w;
    for (uint8_t row = 0; row < p->rows; ++row) {
        uint32_t bits = (uint32_t)eng_flash_u8(w) | (uint32_t)eng_flash_u8(w + 1) << 8 | (uint32_t)eng_flash_u8(w + 2) << 16;
        w = add_row(w + 3, x, p->base, &bits);
        *sum++ = (uint8_t)bits;
        *sum++ = (uint8_t)(bits >> 8);
        *sum++ = (uint8_t)(bits >> 16);
    }
}
