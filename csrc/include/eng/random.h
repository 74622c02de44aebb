/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded random numbers: 32-bit integer arithmetic, no tables, the same bits on every machine. */
#ifndef ENG_RANDOM_H
#define ENG_RANDOM_H

#include "eng/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* xoshiro128++ 1.0: period 2^128 - 1, 16 bytes of state.
 * Source: D. Blackman, S. Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM TOMS 47(4), 2021. */
typedef struct {
    uint32_t state[4];
} eng_rng;

/* State from a seed: four outputs of a Weyl sequence (step 0x9E3779B9) passed through MurmurHash3's 32-bit finalizer.
 * The finalizer is a bijection and the four inputs differ, so that the state is never all zero. */
void eng_rng_seed(eng_rng *rng, uint32_t seed);

/* Next 32 bits, uniform. */
uint32_t eng_rng_next(eng_rng *rng);

/* Uniform in [0, n), without bias: values below 2^32 mod n are drawn again. n >= 1. */
uint32_t eng_rng_below(eng_rng *rng, uint32_t n);

/* Uniform in [0, 1): the upper 24 bits / 2^24, exact in float. */
float eng_rng_uniform_f32(eng_rng *rng);

/* Normal with mean 0 and standard deviation 1, by Marsaglia's polar method (the second value of a pair is dropped, so that
 * the generator stays the only state). |result| < 8. */
float eng_rng_normal_f32(eng_rng *rng);

/* Fisher-Yates: puts index[0..n) into a random order. */
void eng_shuffle_u32(eng_rng *rng, uint32_t n, uint32_t *index);

#ifdef __cplusplus
}
#endif

#endif
