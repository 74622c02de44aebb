/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_dense.h"
#include "eng/flash.h"

static int32_t start_of(const uint8_t *start)
{
    const uint32_t bits = ((uint32_t)eng_flash_u8(start + 2) << 24) | ((uint32_t)eng_flash_u8(start + 1) << 16);
    return (int32_t)(bits | ((uint32_t)eng_flash_u8(start) << 8)) >> 8;
}

void eng_dense_pairs_s24(const eng_dense_pairs *p, const int8_t *x, uint8_t *sum)
{
    const uint8_t *pair = p->pair;
    for (uint8_t i = 0; i < p->pairs; ++i) {
        for (uint8_t n = 0; n < 2; ++n) {
            const uint8_t *w = pair + 6 + n;
            int32_t acc = start_of(pair + 3 * n); /* 2^23 + 65535 * 2^14 < 2^31 */
            for (uint16_t k = 0; k < p->in; ++k) {
                acc += (int16_t)(x[k] * (int8_t)eng_flash_u8(w));
                w += 2;
            }
            *sum++ = (uint8_t)acc;
            *sum++ = (uint8_t)((uint32_t)acc >> 8);
            *sum++ = (uint8_t)((uint32_t)acc >> 16);
        }
        pair += 6 + (uint32_t)p->in * 2U;
    }
}
