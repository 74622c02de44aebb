/* SPDX-License-Identifier: Apache-2.0 */
#include "mul.h"

#include "elementwise.h"

bool eng_x86_mul_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_mul *mul)
{
    const eng_mul_s8_params *p = l->params;
    eng_x86_quick_lane k;
    const uint32_t bound = eng_x86_farthest(p->zero_x) * eng_x86_farthest(p->zero_x2);
    if (!eng_x86_quick_lane_of(format, &p->rescale, &p->y, bound, &k)) {
        return false;
    }
    const eng_x86_mul packed = {
        k.shift, k.scale, k.offset, k.below, p->y.lo, p->y.hi, eng_x86_room(&p->x, p->count) + eng_x86_room(&p->x2, p->count)};
    *mul = packed;
    return true;
}
