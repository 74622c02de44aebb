/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "eng/encodings_im2col.h"

/* One run at every second byte; returns the sum of u. */
static uint32_t copy_run(const int8_t *x, uint8_t n, uint8_t *u)
{
    uint32_t sum = 0;
    for (; n != 0; --n) {
        *u = (uint8_t)(*x++ + 128);
        sum += *u;
        u += 2;
    }
    return sum;
}

static uint32_t fill_run(uint8_t value, uint8_t n, uint8_t *u)
{
    const uint32_t sum = (uint32_t)value * n;
    for (; n != 0; --n) {
        *u = value;
        u += 2;
    }
    return sum;
}

static uint32_t one_patch(const eng_im2col *p, const int8_t *x, const eng_im2col_place *at, uint8_t *u)
{
    const uint8_t whole = at->column >= 0 && at->column <= p->last;
    const uint8_t runs = whole ? p->runs : p->kernel_w, run = whole ? p->run : p->in_c;
    uint32_t sum = 0;
    int16_t row = at->row;
    for (uint8_t i = p->kernel_h; i != 0; --i) {
        int16_t column = at->column;
        for (uint8_t j = runs; j != 0; --j) {
            const uint8_t inside = row >= 0 && row < p->in_h && column >= 0 && column <= p->last_column;
            const int8_t *from = x + (inside ? (size_t)row * p->row + (size_t)column * p->in_c : 0);
            sum += inside ? copy_run(from, run, u) : fill_run(p->padding, run, u);
            u += 2 * (size_t)run;
            column = (int16_t)(column + p->dilation_w);
        }
        row = (int16_t)(row + p->dilation_h);
    }
    return sum;
}

uint8_t eng_im2col_u8(const eng_im2col *p, const int8_t *x, const eng_im2col_place places[2], uint8_t *patches)
{
    uint8_t moves = 0;
    for (uint8_t i = 0; i < 2; ++i) {
        const uint32_t sum = one_patch(p, x, places + i, patches + 6 + i);
        const uint32_t base = UINT32_C(0) - (sum << 7);
        for (uint8_t k = 0; k < 3; ++k) {
            patches[3 * i + k] = (uint8_t)(base >> 8 * k);
        }
        moves = (uint8_t)(moves | (sum != 0));
    }
    return moves;
}
