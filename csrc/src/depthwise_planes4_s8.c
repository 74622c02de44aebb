/* SPDX-License-Identifier: Apache-2.0 */
#define SUMS    eng_depthwise4_s24
#define REQUANT eng_requant_short_channel_s24_s8
#define RECORD  eng_short_step
#include "depthwise_planes_run.h"

void eng_depthwise_planes4_s8(const eng_depthwise_planes *p, const int8_t *x, int8_t *y, uint8_t *scratch)
{
    convolve(p, x, y, scratch);
}
