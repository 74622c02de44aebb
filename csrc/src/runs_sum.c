/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_bits.h"

uint32_t eng_runs_sum_u24(const int8_t *x, int8_t base, const uint8_t *runs)
{
    uint32_t sum = 0;
    for (uint8_t left = *runs++; left > 0; --left) {
        x += *runs++;
        for (uint8_t k = *runs++; k > 0; --k) {
            sum += (uint8_t)(*x++ - base);
        }
    }
    return sum & UINT32_C(0xFFFFFF);
}
