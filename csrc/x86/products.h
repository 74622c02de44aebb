/* SPDX-License-Identifier: Apache-2.0 */
/* Packed form of dense and convolution layers: what the twins of all instruction sets share.
 *
 * x is copied to scratch as an image of codes + format.offset with its padding in place, so that every output position reads
 * the same segments at another base. Weights lie in vectors of `lanes` outputs times four bytes of codes (a step); up to
 * ENG_X86_BLOCKS such blocks of outputs share a pass over x and lie next to each other, step by step:
 *   w [chunk][segment][step of the segment][block of the chunk][lane][codes of a step]
 * A segment is a run of neighbouring codes; its last step is filled with zero weights. */
#ifndef ENG_X86_PRODUCTS_H
#define ENG_X86_PRODUCTS_H

#include "eng/prepare.h"

#define ENG_X86_BLOCKS 4 /* blocks of outputs in a chunk */
#define ENG_X86_STEP   4 /* bytes of a step */
#define ENG_X86_LANE   5 /* vectors of constants of a block */

/* What an instruction set wants. */
typedef struct {
    uint8_t lanes;      /* int32 in a vector */
    uint8_t code_bytes; /* of a code in the copy of x, and of a weight: 1 or 2 */
    uint8_t offset;     /* what is added to codes in the copy of x */
} eng_x86_format;

typedef struct {
    /* The copy of x, in codes. */
    size_t x_row, image_row;
    size_t left;
    uint32_t x_rows, image_rows, top;
    int16_t padding; /* code there, offset included */
    bool single;     /* rounding: single for dense, else double */
    bool tame;       /* |acc| * 2^left < 2^30 for all outputs; then `left` holds left + 1, `half` half of 2^right or 0 */
    eng_output_s8 y;
    uint32_t segments, run; /* run: steps of a segment */
    uint32_t outputs;       /* positions that are written, out codes each */
    uint32_t taps;          /* of a fused maximum: 1, 2, 4, or a multiple of 8; clipped ones are repeated */
    uint32_t out, blocks;
    /* Depthwise convolution: see eng_x86_depthwise_plan. Distances in codes of the copy. */
    uint32_t groups, columns; /* of kernel rows, and of the kernel */
    uint32_t rows, row_codes; /* of the output */
    uint32_t repeats;         /* pixels in a vector, 1 from lanes / 2 + 1 channels on */
    size_t row_step, column_step, kernel_row, kernel_column;
    size_t mixed; /* bytes of scratch before the mixed rows */
    /* Byte offsets from the start of this struct. */
    size_t segment;  /* uint32_t [segments]       bytes from a position's base */
    size_t position; /* uint32_t [outputs][taps]  bytes from the start of the copy */
    size_t lane;     /* int32_t [blocks][ENG_X86_LANE][lanes]: bias, mult, left (single: shift), right, half */
    size_t w;
    size_t size;    /* bytes of the packed form */
    size_t scratch; /* bytes of the copy, with what a last step may read beyond */
} eng_x86_products;

/* Sizes and offsets of a layer's packed form. False if it is too large to be worth it (a copy of x beyond 64 MiB, say,
 * because of wide dilated padding). */
bool eng_x86_products_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_products *p);

/* Writes the packed form. */
void eng_x86_products_pack(const eng_x86_format *format, const eng_layer *l, void *packed);

/* Depthwise convolution with as many outputs as inputs. For each output row, the rows of the copy that it reads are mixed in
 * groups: the codes of one column and channel from as many kernel rows as a step holds lie next to each other. Then every
 * kernel column is one step.
 *   w [block][group][kernel column][lane][codes of a step]
 * Where several pixels fit a vector and the stride is 1, neighbouring outputs share one: lane n is channel n % channels. */
bool eng_x86_depthwise_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_products *p);
void eng_x86_depthwise_pack(const eng_x86_format *format, const eng_layer *l, void *packed);

/* The twins. */
void eng_avx2_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avx2_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avx512vnni_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avx512vnni_depthwise(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);

#endif
