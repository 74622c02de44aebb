/* SPDX-License-Identifier: Apache-2.0 */
/* Packed form of dense and convolution layers.
 *
 * Weights lie in vectors of `lanes` outputs times four bytes of codes (a step); up to ENG_X86_BLOCKS such blocks of outputs
 * share a pass over the copy of x and lie next to each other, step by step:
 *   w [chunk][segment][step of the segment][block of the chunk][lane][codes of a step]
 * A segment is a run of neighbouring codes; its last step is filled with zero weights. */
#ifndef ENG_X86_PRODUCTS_H
#define ENG_X86_PRODUCTS_H

#include "eng/prepare.h"
#include "image.h"

#define ENG_X86_BLOCKS 4 /* blocks of outputs in a chunk */
#define ENG_X86_STEP   4 /* bytes of a step */

typedef struct {
    eng_x86_image image;
    eng_x86_rounding rounding;
    eng_output_s8 y;
    eng_x86_clamp clamp;
    uint32_t segments, run; /* run: steps of a segment */
    uint32_t outputs;       /* positions that are written, out codes each */
    uint32_t taps;          /* of a fused maximum: 1, 2, 4, or a multiple of 8; clipped ones are repeated */
    uint32_t out, blocks;
    /* Byte offsets from the start of this struct. */
    size_t segment;  /* uint32_t [segments]       bytes from a position's base */
    size_t position; /* uint32_t [outputs][taps]  bytes from the start of the copy */
    size_t lane;     /* int32_t [blocks][ENG_X86_LANE][lanes] */
    size_t w;
    size_t size;    /* bytes of the packed form */
    size_t copy;    /* bytes of the copy, with what a last step may read beyond */
    size_t scratch; /* bytes of all copies */
} eng_x86_products;

/* Sizes and offsets of a layer's packed form. False if it is too large to be worth it. */
bool eng_x86_products_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_products *p);

/* Writes the packed form. */
void eng_x86_products_pack(const eng_x86_format *format, const eng_layer *l, void *packed);

/* The twins. */
void eng_avx2_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avx512vnni_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avx2_dense(const eng_layer *l, const void *packed, uint8_t *arena, size_t stride, uint32_t samples, uint8_t *scratch);
void eng_avx512vnni_dense(const eng_layer *l, const void *packed, uint8_t *arena, size_t stride, uint32_t samples,
                          uint8_t *scratch);

#endif
