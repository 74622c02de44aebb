/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/dot.h"
#include "eng/train_int.h"

#include <string.h>

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

void eng_dense_int_backward(const eng_dense_int_params *p, const int8_t *h, const int16_t *w, int32_t *dx)
{
    memset(dx, 0, p->rows * p->in * sizeof *dx);
    for (size_t i = 0; i < p->rows; ++i) {
        const int16_t *row = w;
        for (uint16_t n = 0; n < p->out; ++n) {
            const int8_t error = *h++;
            for (uint16_t k = 0; error != 0 && k < p->in; ++k) {
                dx[k] += (int16_t)(error * (row[k] >> 8));
            }
            row += p->in;
        }
        dx += p->in;
    }
}

void eng_dense_int_gradient(const eng_dense_int_params *p, const int8_t *x, const int8_t *h, int32_t *dw, int32_t *dbias)
{
    const int8_t zero_x = p->zero_x;
    for (size_t i = 0; i < p->rows; ++i) {
        int32_t *row = dw;
        for (uint16_t n = 0; n < p->out; ++n) {
            const int8_t error = *h++;
            for (uint16_t k = 0; error != 0 && k < p->in; ++k) {
                row[k] += (int16_t)(error * (int16_t)(x[k] - zero_x));
            }
            dbias[n] += error;
            row += p->in;
        }
        x += p->in;
    }
}
