/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_int.h"

#include "steps_int.h"

void eng_move_row_int(const eng_dense_int_params *p, int32_t error, const int8_t *x, eng_bits_int *bits, int16_t *w)
{
    for (uint16_t k = 0; k < p->in; ++k) {
        const int16_t v = (int16_t)(x[k] - p->zero_x);
        if (v != 0) {
            w[k] = moved(w[k], (error * v + (int32_t)draw(bits)) >> WHOLE);
        }
    }
}
