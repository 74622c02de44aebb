/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings.h"

#define LARGEST INT32_C(0x7fffff)

static int32_t read_s24(const uint8_t *sum)
{
    const uint32_t bits = ((uint32_t)sum[2] << 24) | ((uint32_t)sum[1] << 16) | ((uint32_t)sum[0] << 8);
    return (int32_t)bits >> 8;
}

void eng_add_s24(uint8_t *sum, const uint8_t *more, uint16_t count)
{
    for (uint16_t n = 0; n < count; ++n) {
        int32_t total = read_s24(sum) + read_s24(more);
        total = total < -LARGEST ? -LARGEST : total > LARGEST ? LARGEST : total;
        sum[0] = (uint8_t)total;
        sum[1] = (uint8_t)((uint32_t)total >> 8);
        sum[2] = (uint8_t)((uint32_t)total >> 16);
        sum += 3;
        more += 3;
    }
}
