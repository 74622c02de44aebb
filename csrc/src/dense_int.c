/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/dot.h"
#include "eng/train_int.h"

/* Products are summed biased, as in dot.h. */
static int32_t dot(uint16_t n, const int8_t *x, int8_t zero_x, const int16_t *w)
{
    uint32_t sum = 0;
    for (uint16_t k = 0; k < n; ++k) {
        sum += (uint16_t)((uint16_t)((x[k] - zero_x) * (w[k] >> 8)) + ENG_DOT_BIAS);
    }
    return eng_dot_unbiased(sum, n);
}

void eng_dense_int(const eng_dense_int_params *p, const int8_t *x, const int16_t *w, const int32_t *bias, int32_t *acc)
{
    for (size_t i = 0; i < p->rows; ++i) {
        const int16_t *row = w;
        for (uint16_t n = 0; n < p->out; ++n) {
            *acc++ = bias[n] + dot(p->in, x, p->zero_x, row);
            row += p->in;
        }
        x += p->in;
    }
}
