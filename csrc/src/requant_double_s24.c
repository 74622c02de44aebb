/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_short.h"
#include "eng/flash.h"

static int32_t read_s24(const uint8_t *sum)
{
    const uint32_t bits = ((uint32_t)sum[2] << 24) | ((uint32_t)sum[1] << 16) | ((uint32_t)sum[0] << 8);
    return (int32_t)bits >> 8;
}

void eng_requant_double_s24_s8(const eng_requant_double *p, const uint8_t *sum, int8_t *y)
{
    const eng_rescale *rescale = p->rescale;
    for (uint16_t n = 0; n < p->count; ++n) {
        const eng_rescale r = eng_flash_rescale(rescale);
        for (uint8_t i = 0; i < p->copies; ++i) {
            y[(size_t)i * p->count + n] = eng_requant_double_s8(read_s24(sum), &r, &p->y);
            sum += 3;
        }
        rescale += p->rescale_step;
    }
}

void eng_requant_double_channel_s24_s8(const eng_requant_double_channel *p, const eng_rescale *rescale, const uint8_t *sum,
                                       int8_t *y, uint16_t count)
{
    const eng_rescale r = eng_flash_rescale(rescale);
    for (size_t n = 0; n < count; ++n) {
        y[n * p->stride] = eng_requant_double_s8(read_s24(sum), &r, &p->y);
        sum += 3;
    }
}
