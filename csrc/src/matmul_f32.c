/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

#include "arithmetic_f32.h"

/* Tile sizes: 4 x 8 sums fill 8 of the 16 SSE registers. Tiles divide rows and columns, never steps, so that they cannot
 * change a sum. */
enum { TILE_ROWS = 4, TILE_COLS = 8 };

/* One tile of c; rows and cols are constants at every call, so that the compiler unrolls and keeps sum in registers. */
static inline void tile(const eng_matmul_f32_params *p, size_t rows, size_t cols, const float *restrict a,
                        const float *restrict b, float *restrict c)
{
    float sum[TILE_ROWS][TILE_COLS];
    for (size_t i = 0; i < rows; ++i) {
        for (size_t j = 0; j < cols; ++j) {
            sum[i][j] = c[i * p->c_row + j];
        }
    }
    /* Ends by address, not by count: gcc would otherwise vectorize over steps, gathering from b at a fourth of the speed. */
    for (const float *const last = a + (p->steps - 1) * p->a_step;; a += p->a_step, b += p->b_step) {
        for (size_t i = 0; i < rows; ++i) {
            const float factor = a[i * p->a_row];
            for (size_t j = 0; j < cols; ++j) {
                sum[i][j] = ENG_MULTIPLY_ADD(sum[i][j], factor, b[j]);
            }
        }
        if (a == last) {
            break;
        }
    }
    for (size_t i = 0; i < rows; ++i) {
        for (size_t j = 0; j < cols; ++j) {
            c[i * p->c_row + j] = sum[i][j];
        }
    }
}

/* All rows of one strip of cols columns. */
static inline void strip(const eng_matmul_f32_params *p, size_t cols, const float *a, const float *b, float *c)
{
    size_t i = 0;
    for (; i + TILE_ROWS <= p->rows; i += TILE_ROWS) {
        tile(p, TILE_ROWS, cols, a + i * p->a_row, b, c + i * p->c_row);
    }
    for (; i < p->rows; ++i) {
        tile(p, 1, cols, a + i * p->a_row, b, c + i * p->c_row);
    }
}

void eng_matmul_f32(const eng_matmul_f32_params *p, const float *a, const float *b, float *c)
{
    size_t j = 0;
    for (; j + 8 <= p->cols; j += 8) {
        strip(p, 8, a, b + j, c + j);
    }
    for (; j + 4 <= p->cols; j += 4) {
        strip(p, 4, a, b + j, c + j);
    }
    for (; j < p->cols; ++j) {
        strip(p, 1, a, b + j, c + j);
    }
}
