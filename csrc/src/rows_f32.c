/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

#include <string.h>

void eng_transpose_f32(const eng_matrix_size *size, const float *x, float *y)
{
    for (size_t j = 0; j < size->cols; ++j) {
        for (size_t i = 0; i < size->rows; ++i) {
            *y++ = x[i * size->cols + j];
        }
    }
}

void eng_broadcast_f32(const eng_matrix_size *size, const float *row, float *y)
{
    for (size_t i = 0; i < size->rows; ++i) {
        memcpy(y, row, size->cols * sizeof *y);
        y += size->cols;
    }
}
