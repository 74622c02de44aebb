/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of one output each, in vectors of `lanes` outputs: the bias of its sums and how they become codes.
 *
 * Exact forms follow eng/quant.h step by step in 64-bit products. The quick forms have the same results in float: with
 *   v = sum + shift, t = fine * v + offset, code = floor(scale * v + t)
 * every operation rounds down. floor(round_down(z)) = floor(z) for any real z, so that what is inexact is t alone, and that is
 * small: shift takes the zero point and the half up to less than one sum's worth. scale + fine is the rescale ratio exactly.
 * In the brief forms scale is the ratio to 24 bits, fine is 0 and nothing is inexact but scale.
 * Since exact and quick forms are monotone in the sum, below zero and from zero on, they agree everywhere if they agree on both
 * sides of zero and of each of the at most 255 sums at which the exact code rises, and at the smallest and largest sum that the
 * weights allow. These sums leave a range of offsets, of which the middle is taken, and all of them are tried for every output
 * when a layer is packed; a layer with one output for which no offset passes keeps the exact form. */
#ifndef ENG_X86_LANES_H
#define ENG_X86_LANES_H

#include <stdbool.h>

#include "eng/infer_s8.h"

#define ENG_X86_LANE 6 /* vectors of constants of a block of outputs; the first is the bias */

/* From sums to codes, before they are clamped. Vectors after the bias in parentheses. */
typedef enum {
    ENG_X86_SINGLE,       /* (mult, shift)                single rounding: dense */
    ENG_X86_DOUBLE,       /* (mult, left, right)          double rounding */
    ENG_X86_TAME,         /* (mult, left + 1, right, half of 2^right or 0)  the same where |sum| * 2^left < 2^30 */
    ENG_X86_QUICK,        /* (scale, fine, offset, shift, below)  float; `below` is the offset of sums below zero */
    ENG_X86_BRIEF_SIGNED, /* as QUICK, with fine = 0 */
    ENG_X86_BRIEF         /* and with one offset: right for codes above the clamp's lower end */
} eng_x86_rounding;

/* codes[i] = the code of acc[i] by the form ENG_X86_QUICK, i < lanes; acc includes the shift. */
typedef void (*eng_x86_quick)(const int32_t *lane, const int32_t *acc, int32_t *codes);

/* What an instruction set wants. */
typedef struct {
    uint8_t lanes;       /* int32 in a vector */
    uint8_t code_bytes;  /* of a code in the copy of x, and of a weight: 1 or 2 */
    uint8_t offset;      /* what is added to codes in the copy of x */
    bool raw;            /* dense layers and convolutions of single pixels do without it */
    eng_x86_quick quick; /* null if it has none */
} eng_x86_format;

/* Limits of the fused activation, in every byte of the widest vector. */
typedef struct {
    int8_t lo[64] __attribute__((aligned(64))), hi[64] __attribute__((aligned(64)));
} eng_x86_clamp;

eng_x86_clamp eng_x86_clamp_of(const eng_output_s8 *y);

/* Whether it is no more than saturation. */
bool eng_x86_saturates(const eng_x86_clamp *clamp);

/* One output's weights: `count` of them, `step` apart. */
typedef struct {
    const int8_t *w;
    size_t count, step;
} eng_x86_taps;

/* Packs a layer's lanes: begin, add every one, end. */
typedef struct {
    const eng_x86_format *format;
    const eng_conv2d_s8_params *conv;
    bool single;             /* rounding of the exact form */
    bool tame, quick, brief; /* so far */
    uint32_t blocks;         /* of lanes */
    int32_t *lanes, *quick_lanes;
} eng_x86_lane_packer;

/* Bytes of `blocks` blocks; packing needs them twice, the second half is free afterwards. */
size_t eng_x86_lanes_size(const eng_x86_format *format, uint32_t blocks);

/* lanes: int32_t [2][blocks][ENG_X86_LANE][format->lanes], zeros. */
eng_x86_lane_packer eng_x86_begin_lanes(const eng_x86_format *format, const eng_conv2d_s8_params *conv, bool single,
                                        uint32_t blocks, int32_t *lanes);

/* Lane n is output `channel` with these weights and this bias. What the copy's offset and zero point add to a sum is taken off
 * the bias, modulo 2^32. */
void eng_x86_add_lane(eng_x86_lane_packer *packer, uint32_t n, uint32_t channel, const eng_x86_taps *taps, int32_t bias);

/* Lane n is as lane `same` before it. */
void eng_x86_repeat_lane(eng_x86_lane_packer *packer, uint32_t n, uint32_t same);

/* The form of all lanes. The first `used` lanes have been added. */
eng_x86_rounding eng_x86_end_lanes(eng_x86_lane_packer *packer, uint32_t used);

/* Constants of the brief forms, of one output. */
typedef struct {
    int32_t shift;
    float scale, offset, below;
} eng_x86_quick_lane;

/* Those of sums of at most `bound` that are rounded twice; false if none are right. */
bool eng_x86_quick_lane_of(const eng_x86_format *format, const eng_rescale *r, const eng_output_s8 *y, uint32_t bound,
                           eng_x86_quick_lane *lane);

/* The twins. */
void eng_avx2_quick(const int32_t *lane, const int32_t *acc, int32_t *codes);
void eng_avx512vnni_quick(const int32_t *lane, const int32_t *acc, int32_t *codes);

#endif
