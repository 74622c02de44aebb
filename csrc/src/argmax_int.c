/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_int.h"

uint16_t eng_argmax_int(uint16_t count, const int32_t *acc)
{
    uint16_t best = 0;
    for (uint16_t k = 1; k < count; ++k) {
        if (acc[k] > acc[best]) {
            best = k;
        }
    }
    return best;
}
