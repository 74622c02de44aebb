/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/loss_f32.h"

void eng_scale_rows_f32(const eng_matrix_size *size, const float *factor, float *x)
{
    for (size_t i = 0; i < size->rows; ++i) {
        for (size_t j = 0; j < size->cols; ++j) {
            *x++ *= factor[i];
        }
    }
}
