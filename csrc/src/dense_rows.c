/* SPDX-License-Identifier: Apache-2.0 */
/* Computes exactly as the 8-bit twin does, 16-bit accumulators and all, so that a wrong proof shows on the host. */
#include "eng/encodings.h"
#include "eng/flash.h"

#define MOST_ROWS 5

typedef struct {
    uint16_t acc;  /* products of the group, biased by 0x8000, over what was left in the low byte */
    uint16_t high; /* sum of the finished groups' high bytes */
} row;

static uint8_t group_length(uint8_t rows, uint8_t header)
{
    return (uint8_t)(ENG_ROWS_DEPTH - (header - 1) / (4 * rows + 1));
}

static void add_group(row *r, uint8_t rows, const int8_t *x, const int8_t *w, uint8_t length)
{
    for (uint8_t n = 0; n < rows; ++n) {
        uint16_t acc = (uint16_t)(0x8000U | (r[n].acc & 0xFFU));
        for (uint8_t k = 0; k < length; ++k) {
            acc = (uint16_t)(acc + (uint16_t)(int16_t)(x[k] * eng_flash_s8(w + (uint16_t)k * rows + n)));
        }
        r[n].acc = acc;
        r[n].high = (uint16_t)(r[n].high + (acc >> 8));
    }
}

static void dense_rows(const eng_dense_rows *p, uint8_t rows, const int8_t *x, uint8_t *sum)
{
    const int8_t *w = p->w;
    const uint8_t *groups = p->groups;
    const uint8_t *start = p->start;
    for (uint8_t block = 0; block < p->blocks; ++block) {
        row r[MOST_ROWS];
        for (uint8_t n = 0; n < rows; ++n) {
            r[n].acc = eng_flash_u8(start);
            r[n].high = (uint16_t)(eng_flash_u8(start + 1) | (uint16_t)(eng_flash_u8(start + 2) << 8));
            start += 3;
        }
        const int8_t *xk = x;
        for (uint8_t header = eng_flash_u8(groups++); header != 0; header = eng_flash_u8(groups++)) {
            const uint8_t length = group_length(rows, header);
            add_group(r, rows, xk, w, length);
            xk += length;
            w += (uint16_t)length * rows;
        }
        for (uint8_t n = 0; n < rows; ++n) {
            *sum++ = (uint8_t)r[n].acc;
            *sum++ = (uint8_t)r[n].high;
            *sum++ = (uint8_t)(r[n].high >> 8);
        }
    }
}

void eng_dense_rows1_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
{
    dense_rows(p, 1, x, sum);
}

void eng_dense_rows2_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
{
    dense_rows(p, 2, x, sum);
}

void eng_dense_rows3_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
{
    dense_rows(p, 3, x, sum);
}

void eng_dense_rows4_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
{
    dense_rows(p, 4, x, sum);
}

void eng_dense_rows5_s24(const eng_dense_rows *p, const int8_t *x, uint8_t *sum)
{
    dense_rows(p, 5, x, sum);
}
