/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

uint16_t eng_argmax_f32(uint16_t count, const float *x)
{
    uint16_t best = 0;
    for (uint16_t k = 1; k < count; ++k) {
        if (x[k] > x[best]) {
            best = k;
        }
    }
    return best;
}
