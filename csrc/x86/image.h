/* SPDX-License-Identifier: Apache-2.0 */
/* The copy of x that convolutions read: codes + format.offset with their padding in place, so that every output position reads
 * the same pattern at another base. */
#ifndef ENG_X86_IMAGE_H
#define ENG_X86_IMAGE_H

#include "eng/infer_s8.h"
#include "lanes.h"

/* Distances and sizes in codes. */
typedef struct {
    size_t x_row, row, left;
    size_t x_codes; /* of all rows */
    uint32_t x_rows, rows, top;
    int16_t padding; /* code there, offset included */
} eng_x86_image;

/* False if the copy is too large to be worth it: beyond 64 Mi codes, say because of wide dilated padding. */
bool eng_x86_image_plan(const eng_x86_format *format, const eng_conv2d_s8_params *conv, eng_x86_image *image);

/* Bytes of a copy of `rows` of its rows, a multiple of ENG_PREPARE_ALIGNMENT, with at least as many behind it that may be read
 * and overwritten. */
size_t eng_x86_image_size(const eng_x86_format *format, const eng_x86_image *image, uint32_t rows);

/* size, made a multiple of ENG_PREPARE_ALIGNMENT. */
size_t eng_x86_aligned(size_t size);

/* n / unit, rounded up. */
uint32_t eng_x86_ceiling(uint32_t n, uint32_t unit);

#endif
