/* SPDX-License-Identifier: Apache-2.0 */
#define RUN eng_max_pool_run_s8
#include "pool2d_run.h"

void eng_max_pool2d_s8(const eng_pool2d_s8_params *p, const int8_t *x, int8_t *y)
{
    pool2d(p, x, y);
}
