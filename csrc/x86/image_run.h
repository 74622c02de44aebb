/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the copy of x that image.h describes. */
#ifndef ENG_X86_IMAGE_RUN_H
#define ENG_X86_IMAGE_RUN_H

#include "image.h"
#include "twin.h"

static void make_image(const eng_x86_image *p, const int8_t *x, code_t *image)
{
    if (p->row == p->x_row && p->rows == p->x_rows) {
        copy_codes(x, p->x_row * p->x_rows, image);
        return;
    }
    const size_t top = p->top * p->row, right = p->row - p->left - p->x_row;
    const size_t bottom = (p->rows - p->top - p->x_rows) * p->row;
    fill_codes(image, top, p->padding);
    image += top;
    for (uint32_t r = 0; r < p->x_rows; ++r) {
        fill_codes(image, p->left, p->padding);
        copy_codes(x, p->x_row, image + p->left);
        fill_codes(image + p->left + p->x_row, right, p->padding);
        image += p->row;
        x += p->x_row;
    }
    fill_codes(image, bottom, p->padding);
}

#endif
