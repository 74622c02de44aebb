/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

#include "arithmetic_f32.h"

void eng_sum_rows_f32(const eng_matrix_size *size, const float *x, float *restrict sum)
{
    for (size_t i = 0; i < size->rows; ++i) {
        for (size_t j = 0; j < size->cols; ++j) {
            sum[j] = ENG_ADD(sum[j], x[j]);
        }
        x += size->cols;
    }
}
