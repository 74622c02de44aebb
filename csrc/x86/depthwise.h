/* SPDX-License-Identifier: Apache-2.0 */
/* Packed form of depthwise convolutions with as many outputs as inputs.
 *
 * For each output row, the rows of x that it reads are mixed in groups: the codes of one column and channel from as many
 * kernel rows as a step holds lie next to each other, so that every kernel column is one step. Where a group has room for
 * another output row's kernel, two output rows share a pass. An output row is one run of codes, cut into vectors; what channel
 * a lane has repeats after `period` vectors, and these share weights:
 *   w [vector of the period][group][kernel column][row of the pass][lane][codes of a step]
 * Some passes are mixed before they are computed, so that each vector's weights are loaded once for all of them.
 * Where a period is one pixel, any stride is a distance between the codes that neighbouring outputs read. Elsewhere x is
 * copied first if the stride is not 1, with padding to the left and right, every row as columns 0, stride, 2 * stride..., then
 * 1, stride + 1..., so that columns which neighbouring outputs read are neighbours. What is not copied is padded when mixed.
 */
#ifndef ENG_X86_DEPTHWISE_H
#define ENG_X86_DEPTHWISE_H

#include "eng/prepare.h"
#include "lanes.h"

typedef struct {
    eng_x86_rounding rounding;
    eng_output_s8 y;
    eng_x86_clamp clamp;
    uint32_t in_h, in_w, pixel; /* pixel: codes */
    uint32_t top, left;         /* padding, in pixels */
    uint32_t phases;            /* the stride across where x is copied, 1 elsewhere */
    int8_t zero_x;
    int16_t padding;               /* code in mixed rows */
    uint32_t groups, columns;      /* of kernel rows, and of the kernel */
    uint32_t taken;                /* rows of x that a pass reads */
    uint32_t together;             /* output rows of a pass: 1 or 2 */
    uint32_t rows, row_codes;      /* of the output */
    uint32_t band;                 /* passes that are mixed at once, all of `together` rows */
    uint32_t period;               /* vectors */
    uint32_t row_step, kernel_row; /* rows of x between output rows and between kernel rows */
    size_t point;                  /* bytes of the mixed rows from a vector to the one a period later */
    size_t row;                    /* codes of a mixed row, padding included */
    size_t group;                  /* bytes of a group's mixed rows */
    size_t pass;                   /* bytes of a pass's groups */
    /* Byte offsets from the start of this struct. */
    size_t column; /* uint32_t [columns]  bytes of the mixed rows */
    size_t lane;   /* int32_t [period][ENG_X86_LANE][lanes] */
    size_t w;
    size_t size;
    size_t copy, mixed; /* bytes of scratch before the copy of x and the mixed rows; at 0 is a row of padding */
    size_t scratch;     /* bytes in all */
} eng_x86_depthwise;

/* False if the layer's twin is the portable kernel. */
bool eng_x86_depthwise_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_depthwise *p);

/* Writes the packed form. */
void eng_x86_depthwise_pack(const eng_x86_format *format, const eng_layer *l, void *packed);

/* The twins. */
void eng_avx2_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avxvnni_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avx512vnni_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);

#endif
