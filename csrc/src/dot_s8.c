/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/flash.h"
#include "eng/infer_s8.h"

int32_t eng_dot_s8(const int8_t *x, const int8_t *w, uint16_t n)
{
    int32_t sum = 0;
    for (uint16_t k = 0; k < n; ++k) {
        sum += (int16_t)(x[k] * eng_flash_s8(w + k));
    }
    return sum;
}

int32_t eng_dot_zero_s8(const int8_t *x, int8_t zero_x, const int8_t *w, uint16_t n)
{
    int32_t sum = 0;
    for (uint16_t k = 0; k < n; ++k) {
        /* |x - zero_x| <= 255, so that the product is at most 255 * 128 = 32640. */
        sum += (int16_t)((x[k] - zero_x) * eng_flash_s8(w + k));
    }
    return sum;
}
