/* SPDX-License-Identifier: Apache-2.0 */
/* Packed form of dense and convolution layers.
 *
 * Weights lie in vectors of `lanes` outputs times four bytes of codes (a step); up to ENG_X86_BLOCKS such blocks of outputs
 * share a pass over the copy of x and lie next to each other, step by step:
 *   w [chunk][segment][step of the segment][block of the chunk][lane][codes of a step]
 * A segment is a run of neighbouring codes, a kernel row, whose last step is filled with zero weights; or all kernel rows where
 * each is but one step.
 *
 * A point is what is computed of a position: its outputs, and those of the positions to its right as far as they share most
 * of its steps, as further outputs whose weights begin later in the row. So 3 x 3 x 3 codes are 9 steps for one output of a
 * convolution and for two neighbours. Last outputs that are so few that half a vector would lie idle have two lanes each, for
 * steps of eight bytes (`halves`), and a pass of their own; sums of two lanes are added in the end.
 *
 * Where kernels of three columns have one block of outputs and steps that are whole pixels' (`third`), a step of codes is
 * loaded once for the three neighbours whose kernels it is in, and meets the weights of all three columns.
 *
 * What is not padded can be read where it is, without a copy (`raw`), by instruction sets that make steps of codes at no cost.
 *
 * With a fused maximum, points are pooled outputs, and the maximum is taken over taps: positions row by row and column by
 * column, clipped ones repeated, where `pairs` of columns may be one point. */
#ifndef ENG_X86_PRODUCTS_H
#define ENG_X86_PRODUCTS_H

#include "eng/prepare.h"
#include "image.h"

#define ENG_X86_BLOCKS 4  /* blocks of outputs in a chunk */
#define ENG_X86_STEP   4  /* bytes of a step */
#define ENG_X86_COPIES 16 /* samples that are copied at once: they stay in the nearest cache */

/* The steps of a pass. */
typedef struct {
    uint32_t segments, run; /* run: steps of a segment */
    size_t step;            /* bytes between them */
} eng_x86_walk;

typedef struct {
    eng_x86_image image;
    eng_x86_rounding rounding;
    eng_output_s8 y;
    eng_x86_clamp clamp;
    bool pairs;
    bool single;                    /* one point, its steps neighbours */
    bool raw;                       /* single or straight, and x may be read in place */
    bool plain;                     /* no maximum is fused */
    bool straight;                  /* plain, and points have all their neighbours */
    uint32_t out;                   /* outputs of a point; a pair's count once */
    uint32_t full, blocks;          /* blocks; any after the full ones is one of halves */
    eng_x86_walk walk, halves;      /* of full blocks and of halves */
    uint32_t third;                 /* steps of one of three kernel columns that neighbouring points share, or 0 */
    uint32_t rows, columns;         /* of points */
    uint32_t last_columns;          /* of the last row */
    uint32_t band;                  /* rows of points that one copy of rows of x is for */
    uint32_t tap_rows, tap_columns; /* positions of a point */
    uint32_t even, uneven;          /* columns from `even` on and before `uneven` are `point` bytes from one another */
    size_t point;
    size_t copy_row;    /* bytes of a row of the copy */
    uint32_t reach;     /* rows of the copy from a position's first to its last */
    size_t y_row, last; /* codes of a row of outputs, and of its last point */
    /* Byte offsets from the start of this struct. */
    size_t segment; /* uint32_t [the most segments]    bytes from a point's place in the copy */
    size_t row;     /* uint32_t [rows][tap_rows]        row of the whole copy */
    size_t column;  /* uint32_t [columns][tap_columns]  bytes from the start of a row of it; unused where plain */
    size_t lane;    /* int32_t [blocks][ENG_X86_LANE][lanes] */
    size_t w, w_halves;
    size_t narrow;  /* the form for a single vector of codes, narrow.h, or 0 */
    size_t size;    /* bytes of the packed form */
    size_t copy;    /* bytes of a band's copy, with what a last step may read beyond */
    size_t scratch; /* bytes of all copies */
} eng_x86_products;

/* Sizes and offsets of a layer's packed form. False if it is too large to be worth it. */
bool eng_x86_products_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_products *p);

/* Writes the packed form. */
void eng_x86_products_pack(const eng_x86_format *format, const eng_layer *l, void *packed);

/* The twins. */
void eng_avx2_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avxvnni_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avx512vnni_products(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avx2_dense(const eng_layer *l, const void *packed, const eng_samples *samples, uint8_t *scratch);
void eng_avxvnni_dense(const eng_layer *l, const void *packed, const eng_samples *samples, uint8_t *scratch);
void eng_avx512vnni_dense(const eng_layer *l, const void *packed, const eng_samples *samples, uint8_t *scratch);

#endif
