/* SPDX-License-Identifier: Apache-2.0 */
#define PRODUCTS2 eng_im2col2_s24
#define PRODUCTS3 eng_im2col3_s24
#define REQUANT   eng_requant_short_s24_s8
#include "conv2d_im2col_run.h"

void eng_conv2d_im2col_s8(const eng_conv2d_im2col *p, const int8_t *x, int8_t *y, uint8_t *scratch)
{
    convolve(p, x, y, scratch);
}
