/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_int.h"

void eng_mse_int(const eng_mse_int_params *p, const int8_t *y, const int8_t *target, uint32_t *loss, int32_t *dy)
{
    for (size_t i = 0; i < p->rows; ++i) {
        uint32_t sum = 0;
        for (uint16_t j = 0; j < p->cols; ++j) {
            const int16_t d = (int16_t)(*y++ - *target++);
            sum += (uint32_t)((int32_t)d * d);
            if (dy) {
                *dy++ = d * INT32_C(128);
            }
        }
        loss[i] = sum;
    }
}
