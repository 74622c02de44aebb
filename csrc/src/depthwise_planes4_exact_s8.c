/* SPDX-License-Identifier: Apache-2.0 */
#define SUMS    eng_depthwise4_s24
#define REQUANT eng_requant_double_channel_s24_s8
#define RECORD  eng_rescale
#include "depthwise_planes_run.h"

void eng_depthwise_planes4_exact_s8(const eng_depthwise_planes *p, const int8_t *x, int8_t *y, uint8_t *scratch)
{
    convolve(p, x, y, scratch);
}
