/* SPDX-License-Identifier: Apache-2.0 */
/* Powers of the decay rates of Adam and its relatives. */
#ifndef ENG_POWERS_F32_H
#define ENG_POWERS_F32_H

#include "eng/types.h"

/* 1 - beta^t without the cancellation of computing beta^t first: with c(t) = 1 - beta^t, c(s + t) = c(s) + c(t) - c(s) c(t). */
static inline float eng_complement_of_power(float beta, uint32_t t)
{
    float square = 1.0f - beta;
    float result = 0.0f;
    for (; t > 0; t >>= 1) {
        if (t & 1) {
            result += square - result * square;
        }
        square += square - square * square;
    }
    return result;
}

#endif
