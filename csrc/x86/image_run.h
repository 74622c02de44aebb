/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the copy of x that image.h describes. */
#ifndef ENG_X86_IMAGE_RUN_H
#define ENG_X86_IMAGE_RUN_H

#include "image.h"
#include "twin.h"

/* One row of the copy, phase by phase: what copy_pixel writes beyond is written over. */
static void split_row(const eng_x86_image *p, const int8_t *x, code_t *row)
{
    for (uint32_t f = 0; f < p->phases; ++f) {
        code_t *at = row + f * p->phase, *const end = at + p->phase;
        uint32_t column = f;
        for (; column < p->left; column += p->phases) {
            fill_codes(at, p->pixel, p->padding);
            at += p->pixel;
        }
        for (; column < p->left + p->x_columns; column += p->phases) {
            copy_pixel(x + (column - p->left) * p->pixel, p->pixel, at);
            at += p->pixel;
        }
        fill_codes(at, (size_t)(end - at), p->padding);
    }
}

static void pad_row(const eng_x86_image *p, const int8_t *x, code_t *row)
{
    const size_t left = p->left * p->pixel;
    fill_codes(row, left, p->padding);
    copy_codes(x, p->x_row, row + left);
    fill_codes(row + left + p->x_row, p->row - left - p->x_row, p->padding);
}

static void make_image(const eng_x86_image *p, const int8_t *x, code_t *image)
{
    if (p->row == p->x_row && p->rows == p->x_rows && p->phases == 1) {
        copy_codes(x, p->x_row * p->x_rows, image);
        return;
    }
    const size_t top = p->top * p->row, bottom = (p->rows - p->top - p->x_rows) * p->row;
    fill_codes(image, top, p->padding);
    image += top;
    for (uint32_t r = 0; r < p->x_rows; ++r) {
        if (p->phases == 1) {
            pad_row(p, x, image);
        } else {
            split_row(p, x, image);
        }
        image += p->row;
        x += p->x_row;
    }
    fill_codes(image, bottom, p->padding);
}

#endif
