/* SPDX-License-Identifier: Apache-2.0 */
/* Computes exactly as the 8-bit twin does, 16-bit accumulators and all, so that a wrong proof shows on the host. */
#include "eng/encodings.h"
#include "eng/flash.h"

#define ROWS 8

typedef struct {
    uint16_t acc; /* products of the group, over what was left in the low byte */
    uint32_t sum; /* finished groups, in units of 256, modulo 2^16 */
} row;

static uint8_t group_length(uint8_t header)
{
    return (uint8_t)(ENG_ROWS8_DEPTH - (header - 1) / (4 * ROWS + 1));
}

static void add_group(row r[ROWS], const int8_t *x, const int8_t *w, uint8_t length)
{
    for (uint8_t n = 0; n < ROWS; ++n) {
        uint16_t acc = r[n].acc & 0xFFU;
        for (uint8_t k = 0; k < length; ++k) {
            acc = (uint16_t)(acc + (uint16_t)(int16_t)(x[k] * eng_flash_s8(w + (uint16_t)k * ROWS + n)));
        }
        r[n].acc = acc;
        r[n].sum += (acc >> 8) - (acc >= 0x8000U ? 0x100U : 0U);
    }
}

void eng_dense_rows8_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
{
    const int8_t *w = p->w;
    const uint8_t *groups = p->groups;
    const uint8_t *start = p->start;
    for (uint8_t block = 0; block < p->blocks; ++block) {
        row r[ROWS];
        for (uint8_t n = 0; n < ROWS; ++n) {
            const uint32_t bits = eng_flash_split_s24(start);
            r[n].acc = (uint8_t)bits;
            r[n].sum = bits >> 8;
            start += 3;
        }
        const int8_t *xk = x;
        for (uint8_t header = eng_flash_u8(groups++); header != 0; header = eng_flash_u8(groups++)) {
            const uint8_t length = group_length(header);
            add_group(r, xk, w, length);
            xk += length;
            w += (uint16_t)length * ROWS;
        }
        for (uint8_t n = 0; n < ROWS; ++n) {
            *sum++ = (uint8_t)r[n].acc;
            *sum++ = (uint8_t)r[n].sum;
            *sum++ = (uint8_t)(r[n].sum >> 8);
        }
    }
}
