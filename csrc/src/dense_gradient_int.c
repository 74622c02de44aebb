/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_int.h"

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
