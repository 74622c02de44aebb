/* SPDX-License-Identifier: Apache-2.0 */
/* What make_vectors.py writes: kernel calls with the bytes that go in and the oracle's bytes that must come out. */
#ifndef VECTORS_H
#define VECTORS_H

#include "eng.h"

typedef struct {
    eng_layer layer; /* x at arena + CANARY, x2 if any and y behind it, with a canary on both sides of each */
    const uint8_t *x;
    const uint8_t *x2; /* null without */
    const uint8_t *want;
    uint16_t x_size;
    uint16_t x2_size;
    uint16_t want_size;
} vector;

#define CANARY 8 /* bytes */

extern const vector vectors[];
extern const uint16_t vector_count;

#endif
