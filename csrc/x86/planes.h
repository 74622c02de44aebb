/* SPDX-License-Identifier: Apache-2.0 */
/* Packed form of depthwise convolutions of 3 x 3 with as many outputs as inputs, channels a divisor or a multiple of 64.
 *
 * Rows of x are mixed four at a time: a step of four bytes is one channel's codes of a column from four rows, or, with a stride
 * of two, of the four pixels that two rows have in two columns. What interleaving makes of 64 neighbouring codes is four
 * vectors of which the j-th has codes 4 * j to 4 * j + 3 of every 16; each goes to a plane of its own. So a vector of steps any
 * multiple of four codes further is a load from one of the planes, and the four vectors of sums of 64 neighbouring codes
 * become codes in their order, both without a permutation.
 *   w [block of the period][plane][step][row of the pass][lane][codes of a step]
 * With a stride of one a mixed row is three steps for each of two output rows, with two it is two steps for each of the two
 * output rows that read it. Padding is mixed in. */
#ifndef ENG_X86_PLANES_H
#define ENG_X86_PLANES_H

#include "eng/prepare.h"
#include "lanes.h"

#define ENG_X86_PLANES        4
#define ENG_X86_PLANE_STEPS   4  /* of an output row, at most */
#define ENG_X86_PLANE_COLUMNS 3  /* of them in a mixed row, at most */
#define ENG_X86_PLANE_BAND    32 /* mixed rows that are kept, at most */

/* Codes of a row that become a block of 64 steps, those of every other pixel first: the code of a padded row that they begin
 * with, and which of them are inside the image. The second ones are for a stride of two only. */
typedef struct {
    uint64_t inside[2];
    uint32_t first[2];
} eng_x86_plane_block;

typedef struct {
    eng_x86_rounding rounding;
    eng_output_s8 y;
    eng_x86_clamp clamp;
    uint32_t stride, channels;
    uint32_t in_h, top;
    size_t x_row, left;       /* codes of a row of x, and of the padding before it */
    uint32_t rows, row_codes; /* of the output */
    uint32_t blocks, period;  /* 64 codes each: of a mixed row, and after which channels come again */
    uint32_t steps, packed;   /* of an output row, and output rows of a pass that have weights of their own */
    uint32_t band;            /* mixed rows that are kept */
    size_t plane;             /* bytes */
    /* Byte offsets from the start of this struct. */
    size_t block;   /* eng_x86_plane_block [blocks] */
    size_t padding; /* int8_t [a padded row]  for rows outside the image */
    size_t lane;    /* int32_t [period][planes][ENG_X86_LANE][lanes] */
    size_t w;
    size_t size;
    size_t words;                                         /* bytes of scratch before the mixed rows: half the planes' codes */
    size_t scratch;                                       /* bytes in all */
    uint32_t step[ENG_X86_PLANE_COLUMNS][ENG_X86_PLANES]; /* bytes of a mixed row before the codes of every plane's sums */
} eng_x86_planes;

/* False if the layer has another form. */
bool eng_x86_planes_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_planes *p);

/* Writes the packed form. */
void eng_x86_planes_pack(const eng_x86_format *format, const eng_layer *l, void *packed);

/* The twin. */
void eng_avx512vnni_planes(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);

#endif
