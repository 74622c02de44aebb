/* SPDX-License-Identifier: Apache-2.0 */
/* The innermost loops. Products are summed as product + 2^15 in uint16_t, and the 2^15 taken off in the end (modulo 2^32):
 * widening an unsigned number costs an 8-bit machine nothing, and avr-gcc does not turn it into calls of a multiplication
 * routine, as it does at -Os with int32_t += int16_t * int16_t. ATmega4809, cycles a multiply-add: 18 at -O2 and 19 at -Os,
 * against 21 and 59. */
#ifndef ENG_DOT_H
#define ENG_DOT_H

#include "eng/flash.h"

#define ENG_DOT_BIAS UINT16_C(0x8000)

/* sum + sum_k (x[k] * w[k] + 2^15), k < n. */
static inline uint32_t eng_dot_biased(uint32_t sum, const int8_t *x, const int8_t *w, uint16_t n)
{
    for (uint16_t k = 0; k < n; ++k) {
        sum += (uint16_t)((uint16_t)(x[k] * eng_flash_s8(w + k)) + ENG_DOT_BIAS);
    }
    return sum;
}

/* sum + sum_k ((x[k] - zero_x) * w[k] + 2^15), k < n: |x - zero_x| <= 255 and |w| <= 128, so that |product| <= 32640. */
static inline uint32_t eng_dot_zero_biased(uint32_t sum, const int8_t *x, int8_t zero_x, const int8_t *w, uint16_t n)
{
    for (uint16_t k = 0; k < n; ++k) {
        sum += (uint16_t)((uint16_t)((x[k] - zero_x) * eng_flash_s8(w + k)) + ENG_DOT_BIAS);
    }
    return sum;
}

/* sum - n * 2^15 */
static inline int32_t eng_dot_unbiased(uint32_t sum, uint16_t n)
{
    const uint32_t high = (uint32_t)(n / 2) << 16;
    return (int32_t)(sum - high - (n % 2 != 0 ? ENG_DOT_BIAS : 0));
}

#endif
