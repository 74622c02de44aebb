/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_int.h"

#include <string.h>

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
