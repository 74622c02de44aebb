/* SPDX-License-Identifier: Apache-2.0 */
/* Walks along an operand that is broadcast, without divisions. */
#ifndef ENG_BROADCAST_H
#define ENG_BROADCAST_H

#include "eng/tensor_s8.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const int8_t *first;
    uint32_t size, repeat;
    uint32_t at;   /* element */
    uint32_t uses; /* of it so far */
} eng_walk;

static inline eng_walk eng_walk_start(const eng_broadcast *b, const int8_t *x)
{
    const eng_walk walk = {x, b->size, b->repeat, 0, 0};
    return walk;
}

/* The operand's element for the next element of the result. */
static inline int8_t eng_walk_next(eng_walk *walk)
{
    const int8_t code = walk->first[walk->at];
    if (++walk->uses == walk->repeat) {
        walk->uses = 0;
        if (++walk->at == walk->size) {
            walk->at = 0;
        }
    }
    return code;
}

#ifdef __cplusplus
}
#endif

#endif
