/* SPDX-License-Identifier: Apache-2.0 */
/* Packed form of multiplications, which round as convolutions do: with p = (x - zero_x) * (x2 - zero_x2),
 *   y = clamp(floor(scale * (p + shift) + (p < 0 ? below : above)))
 * in float with every operation rounded down, a quick form of lanes.h whose constants are proven for all p, |p| <= 255^2. */
#ifndef ENG_X86_MUL_H
#define ENG_X86_MUL_H

#include "eng/prepare.h"
#include "lanes.h"

typedef struct {
    int32_t shift;
    float scale, above, below;
    int8_t lo, hi;
    size_t room; /* codes of scratch */
} eng_x86_mul;

/* False if no constants are right: the portable kernel is the layer's twin then. */
bool eng_x86_mul_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_mul *mul);

#endif
