/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the copy of x that image.h describes. */
#ifndef ENG_X86_IMAGE_RUN_H
#define ENG_X86_IMAGE_RUN_H

#include "image.h"
#include "twin.h"

#if ENG_SHORT_ROWS
/* The same of rows that are one vector each, of which the next one overwrites what is too much. */
static void copy_short_rows(const eng_x86_image *p, const int8_t *x, uint32_t first, uint32_t count, code_t *image)
{
    const eng_vec padding = vec_padding(p->padding);
    const eng_inside inside = vec_inside(p->left, p->x_row);
    for (uint32_t r = first; r < first + count; ++r) {
        const bool outside = r < p->top || r - p->top >= p->x_rows;
        const int8_t *const row = x + (outside ? 0 : (r - p->top) * p->x_row);
        vec_copy_row(padding, outside ? 0 : inside, row - p->left, image);
        image += p->row;
    }
}
#endif

/* `count` rows of the copy from row `first` on. */
static void copy_rows(const eng_x86_image *p, const int8_t *x, uint32_t first, uint32_t count, code_t *image)
{
    if (p->row == p->x_row && p->rows == p->x_rows) {
        const size_t begin = first * p->row, left = p->x_codes - begin, codes = count * p->row;
        copy_codes(x + begin, codes < left ? codes : left, image);
        return;
    }
#if ENG_SHORT_ROWS
    if (p->row <= ENG_SHORT_ROWS) {
        copy_short_rows(p, x, first, count, image);
        return;
    }
#endif
    const size_t right = p->row - p->left - p->x_row;
    for (uint32_t r = first; r < first + count; ++r) {
        if (r < p->top || r - p->top >= p->x_rows) {
            fill_codes(image, p->row, p->padding);
        } else {
            fill_codes(image, p->left, p->padding);
            copy_codes(x + (r - p->top) * p->x_row, p->x_row, image + p->left);
            fill_codes(image + p->left + p->x_row, right, p->padding);
        }
        image += p->row;
    }
}

#endif
