/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernels that move masters share. */
#ifndef ENG_STEPS_INT_H
#define ENG_STEPS_INT_H

#include "eng/train_int.h"

enum { WHOLE = 16 };

static inline uint16_t draw(eng_bits_int *bits)
{
    if (bits->half) {
        bits->half = false;
        return bits->upper;
    }
    const uint32_t number = eng_rng_next(bits->rng);
    bits->half = true;
    bits->upper = (uint16_t)(number >> 16);
    return (uint16_t)number;
}

static inline int16_t moved(int16_t w, int32_t step)
{
    const int32_t next = w - step;
    if (next < ENG_MASTER_MIN) {
        return ENG_MASTER_MIN;
    }
    return next > ENG_MASTER_MAX ? ENG_MASTER_MAX : (int16_t)next;
}

#endif
