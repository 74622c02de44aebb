/* SPDX-License-Identifier: Apache-2.0 */
/* Packed form of convolutions of few channels, whose kernel rows would leave much of a step or a vector idle.
 *
 * The lanes of a vector are sixteen positions across an output row, a strip. A permutation of a row's 128 codes gives all of
 * them a step of their own: no position reads a neighbour's codes for the sake of whole vectors, and what is left of a kernel
 * row beyond whole steps shares one with other rows' rests. Weights are one step in all lanes:
 *   w [eight outputs][step][output][codes of a step]
 * where the steps of kernel row r are `full` ones, and one of rests after every `shared` rows and after the last.
 * Lanes are in such an order that turning eight outputs of sixteen positions into codes next to each other leaves positions in
 * theirs. x is read where it is; what lies beyond a row's ends is masked. */
#ifndef ENG_X86_ACROSS_H
#define ENG_X86_ACROSS_H

#include "eng/prepare.h"
#include "lanes.h"

#define ENG_X86_ACROSS_ROWS 8 /* of a kernel, at most */
#define ENG_X86_OUTSIDE     UINT32_MAX

/* Codes of a strip that are inside a row of x, of those from 0 and from 64 on. */
typedef struct {
    uint64_t low, high;
} eng_x86_inside;

typedef struct {
    eng_x86_rounding rounding;
    eng_output_s8 y;
    eng_x86_clamp clamp;
    uint32_t rows, out;    /* of the output */
    uint32_t strips, last; /* of an output row, and positions of the last one */
    uint32_t kernel_rows;
    uint32_t full, rest;    /* whole steps of a kernel row, and codes beyond them */
    uint32_t shared, steps; /* kernel rows whose rests are one step, and steps in all */
    size_t left;            /* codes of padding before a row of x */
    size_t strip;           /* codes of x from strip to strip */
    /* Byte offsets from the start of this struct. */
    size_t order;   /* uint8_t [full + shared][64]  which code every byte of a step is */
    size_t row;     /* uint32_t [rows][kernel_rows] codes of x before the kernel's rows, or ENG_X86_OUTSIDE */
    size_t kept;    /* uint64_t [shared]            bytes of a row's rest */
    size_t inside;  /* eng_x86_inside [strips] */
    size_t padding; /* int8_t [128]                 a row outside the image */
    size_t lane;    /* int32_t [out][ENG_X86_LANE][lanes], all lanes alike */
    size_t w;
    size_t size;
} eng_x86_across;

/* False if the layer is not better off so. */
bool eng_x86_across_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_across *p);

/* Writes the packed form. */
void eng_x86_across_pack(const eng_x86_format *format, const eng_layer *l, void *packed);

/* The twin, which needs AVX-512 VBMI. */
void eng_avx512vbmi_across(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);

#endif
