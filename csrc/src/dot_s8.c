/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/dot.h"
#include "eng/infer_s8.h"

int32_t eng_dot_s8(const int8_t *x, const int8_t *w, uint16_t n)
{
    return eng_dot_unbiased(eng_dot_biased(0, x, w, n), n);
}
