/* SPDX-License-Identifier: Apache-2.0 */
/* Packed form of convolutions of single pixels with 8 or 16 inputs, where loading steps and rounding sums take longer than
 * the multiplications.
 *
 * A quarter of a vector is one of four neighbouring points, and its lanes are four outputs. The codes of four points come with
 * one load, and a step in all four lanes of every quarter is a shuffle of them, not a load for each point. Sums of sixteen
 * outputs of four points, four vectors, become codes in their order without a permutation. With a stride of two, eight
 * neighbouring points are loaded for four. w [sixteen outputs][step][four outputs][quarter][lane][codes of a step]
 */
#ifndef ENG_X86_QUADS_H
#define ENG_X86_QUADS_H

#include "eng/prepare.h"
#include "lanes.h"

typedef struct {
    eng_x86_rounding rounding;
    eng_output_s8 y;
    eng_x86_clamp clamp;
    uint32_t in, out, stride;
    uint32_t rows, points; /* in each; without a stride all of them are one row */
    size_t x_row;          /* codes of x from row to row */
    /* Byte offsets from the start of this struct. */
    size_t lane; /* int32_t [out / 4][ENG_X86_LANE][lanes], all quarters alike */
    size_t w;
    size_t size;
} eng_x86_quads;

/* False if the layer has another form. */
bool eng_x86_quads_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_quads *p);

/* Writes the packed form. */
void eng_x86_quads_pack(const eng_x86_format *format, const eng_layer *l, void *packed);

/* The twin. */
void eng_avx512vnni_quads(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);

#endif
