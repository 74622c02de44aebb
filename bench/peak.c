/* SPDX-License-Identifier: Apache-2.0 */
/* Multiply-adds of int8 codes in a nanosecond that one core can do at most: the instruction of the kernels in use on registers
 * alone, in as many chains as hide its latency. Prints the best of several rounds. Usage: peak */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define CHAINS 12
#define STEPS  200000
#define ROUNDS 50

#ifdef __AVX512VNNI__
#define CODES 64
typedef __m512i vector;
static vector multiply_add(vector acc, vector x, vector w)
{
    return _mm512_dpbusd_epi32(acc, x, w);
}
#elif defined __AVXVNNI__
#define CODES 32
typedef __m256i vector;
static vector multiply_add(vector acc, vector x, vector w)
{
    return _mm256_dpbusd_avx_epi32(acc, x, w);
}
#else
#define CODES 16
typedef __m256i vector;
static vector multiply_add(vector acc, vector x, vector w)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(x, w));
}
#endif

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The barriers keep sums in registers, and w from being known. */
static void round_of_steps(vector *acc, vector x, vector w)
{
    for (uint32_t i = 0; i < STEPS; ++i) {
#pragma GCC unroll 12
        for (uint32_t c = 0; c < CHAINS; ++c) {
            __asm__ volatile("" : "+v"(w));
            acc[c] = multiply_add(acc[c], x, w);
            __asm__ volatile("" : "+v"(acc[c]));
        }
    }
}

int main(void)
{
    vector acc[CHAINS] = {0};
    const vector x = {1, 2, 3, 4}, w = {5, 6, 7, 8};
    double best = 1e9;
    for (int round = 0; round < ROUNDS; ++round) {
        const double start = seconds();
        round_of_steps(acc, x, w);
        const double took = seconds() - start;
        best = took < best ? took : best;
    }
    printf("%.1f\n", 1e-9 * STEPS * CHAINS * CODES / best);
    return 0;
}
