/* SPDX-License-Identifier: Apache-2.0 */
/* The body of the kernels eng_conv2d_im2col...: which patches belong to which output. Included by each of them after it has
 * defined PRODUCTS2, PRODUCTS3 and REQUANT, the kernels that it calls. */
#include <string.h>

#include "eng/encodings_im2col.h"
#include "eng/flash.h"

/* Sums of all filters and two positions. */
static void products(const eng_conv2d_im2col *p, const uint8_t *patches, uint8_t *sums, uint8_t largest)
{
    if (p->filters[0].blocks != 0) {
        PRODUCTS3(&p->filters[0], patches, sums, largest);
        sums += (largest != 0 ? 9U : 18U) * p->filters[0].blocks;
    }
    if (p->filters[1].blocks != 0) {
        PRODUCTS2(&p->filters[1], patches, sums, largest);
    }
}

/* Positions of the convolution in a rectangle, row by row. */
typedef struct {
    eng_im2col_place at;
    int16_t column; /* where rows begin */
    uint8_t width;
    uint8_t left; /* in this row */
} cursor;

static cursor start(const eng_conv2d_im2col *p, uint8_t row, uint8_t column, uint8_t width)
{
    const int16_t x_row = (int16_t)((int16_t)((uint16_t)row * p->down.stride) - p->down.pad);
    const int16_t x_column = (int16_t)((int16_t)((uint16_t)column * p->right.stride) - p->right.pad);
    const cursor c = {{x_row, x_column}, x_column, width, width};
    return c;
}

static eng_im2col_place next(const eng_conv2d_im2col *p, cursor *c)
{
    const eng_im2col_place at = c->at;
    c->at.column = (int16_t)(c->at.column + p->right.stride);
    if (--c->left == 0) {
        c->left = c->width;
        c->at.column = c->column;
        c->at.row = (int16_t)(c->at.row + p->down.stride);
    }
    return at;
}

static int8_t *rest(const eng_conv2d_im2col *p, int8_t *y)
{
    const int8_t *still = p->still;
    uint8_t n = p->out_c;
    do {
        *y++ = eng_flash_s8(still++);
    } while (--n != 0);
    return y;
}

/* Every position is an output; if they are odd, the last but one is computed twice. */
static void without_pool(const eng_conv2d_im2col *p, const int8_t *x, int8_t *y, uint8_t *scratch)
{
    const uint8_t out_c = p->out_c;
    uint8_t *sums = scratch + ENG_IM2COL_SIZE((size_t)p->filters[1].taps);
    cursor c = start(p, 0, 0, p->right.conv);
    eng_im2col_place places[2];
    for (uint16_t left = (uint16_t)((uint16_t)p->down.conv * p->right.conv); left != 0; left = (uint16_t)(left - 2)) {
        if (left == 1) {
            places[0] = places[1];
            y -= out_c;
            ++left;
        } else {
            places[0] = next(p, &c);
        }
        places[1] = next(p, &c);
        if (eng_im2col_u8(&p->patch, x, places, scratch) == 0 && p->still != NULL) {
            rest(p, rest(p, y));
        } else {
            products(p, scratch, sums, 0);
            REQUANT(p->requant, sums, y);
        }
        y += 2U * out_c;
    }
}

/* First position of a pool's window that is inside, and how many are. */
typedef struct {
    uint8_t first, count;
} span;

static span inside(const eng_im2col_axis *axis, uint8_t position)
{
    const int16_t from = (int16_t)((int16_t)((uint16_t)position * axis->pool_stride) - axis->pool_pad);
    const int16_t end = (int16_t)(from + axis->pool);
    const uint8_t first = (uint8_t)(from < 0 ? 0 : from);
    const span s = {first, (uint8_t)((end > axis->conv ? axis->conv : end) - first)};
    return s;
}

/* Sums of one output, the largest of its positions' ones. Pairs of positions without inputs but zeros all have the same sums,
 * which need finding once, if there are others beside them. Returns 0 if there are none. */
static uint8_t pooled_sums(const eng_conv2d_im2col *p, const int8_t *x, cursor *c, uint16_t left, uint8_t *patches,
                           uint8_t *sums)
{
    eng_im2col_place places[2];
    uint8_t moves = 0, rests = 0;
    memset(sums, 0x80, 3U * (3U * p->filters[0].blocks + 2U * p->filters[1].blocks));
    for (; left != 0; left = (uint16_t)(left - 1)) {
        places[0] = next(p, c);
        places[1] = places[0];
        if (left != 1) {
            places[1] = next(p, c);
            --left;
        }
        if (eng_im2col_u8(&p->patch, x, places, patches) == 0 && p->still != NULL) {
            rests = 1;
        } else {
            moves = 1;
            products(p, patches, sums, 1);
        }
    }
    if (moves != 0 && rests != 0) {
        memset(patches, 0, ENG_IM2COL_SIZE((size_t)p->filters[1].taps));
        products(p, patches, sums, 1);
    }
    return moves;
}

static void with_pool(const eng_conv2d_im2col *p, const int8_t *x, int8_t *y, uint8_t *scratch)
{
    uint8_t *sums = scratch + ENG_IM2COL_SIZE((size_t)p->filters[1].taps);
    for (uint8_t row = 0; row < p->down.out; ++row) {
        const span rows = inside(&p->down, row);
        for (uint8_t column = 0; column < p->right.out; ++column) {
            const span columns = inside(&p->right, column);
            cursor c = start(p, rows.first, columns.first, columns.count);
            if (pooled_sums(p, x, &c, (uint16_t)((uint16_t)rows.count * columns.count), scratch, sums) != 0) {
                REQUANT(p->requant, sums, y);
            } else {
                (void)rest(p, y);
            }
            y += p->out_c;
        }
    }
}

static void convolve(const eng_conv2d_im2col *p, const int8_t *x, int8_t *y, uint8_t *scratch)
{
    if (p->copies == 1) {
        with_pool(p, x, y, scratch);
    } else {
        without_pool(p, x, y, scratch);
    }
}
