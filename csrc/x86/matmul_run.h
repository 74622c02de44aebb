/* SPDX-License-Identifier: Apache-2.0 */
/* Body of eng_matmul_f32 and eng_matmul_f16 for vectors: lanes are columns of c, so that every sum runs in the order of its
 * index as in the portable kernel. ENG_VECTOR_MADD(sum, a, b) says how a product is added. */
#include "eng/train_f32.h"

#include "train_vectors.h"

/* rows x vectors sums stay in registers; rows, vectors and whole are constants at every call. The last vector is short unless
 * whole. */
ENG_INLINE void tile(const eng_matmul_f32_params *p, size_t rows, size_t vectors, int whole, eng_mask mask,
                     const float *restrict a, const float *restrict b, float *restrict c)
{
    const size_t a_row = p->a_row, a_step = p->a_step, b_step = p->b_step, c_row = p->c_row;
    eng_floats sum[ENG_TILE_ROWS][2];
#pragma GCC unroll 8
    for (size_t i = 0; i < rows; ++i) {
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; ++v) {
            const float *const from = c + i * c_row + v * ENG_LANES;
            sum[i][v] = whole || v + 1 < vectors ? load(from) : load_first(from, mask);
        }
    }
    for (size_t s = 0; s < p->steps; ++s) {
        eng_floats right[2];
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; ++v) {
            const float *const from = b + v * ENG_LANES;
            right[v] = whole || v + 1 < vectors ? load(from) : load_first(from, mask);
        }
#pragma GCC unroll 8
        for (size_t i = 0; i < rows; ++i) {
            const eng_floats left = spread(a[i * a_row]);
#pragma GCC unroll 2
            for (size_t v = 0; v < vectors; ++v) {
                sum[i][v] = ENG_VECTOR_MADD(sum[i][v], left, right[v]);
            }
        }
        a += a_step;
        b += b_step;
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < rows; ++i) {
#pragma GCC unroll 2
        for (size_t v = 0; v < vectors; ++v) {
            float *const to = c + i * c_row + v * ENG_LANES;
            if (whole || v + 1 < vectors) {
                store(to, sum[i][v]);
            } else {
                store_first(to, mask, sum[i][v]);
            }
        }
    }
}

/* All rows of a strip of columns. */
ENG_INLINE void strip(const eng_matmul_f32_params *p, size_t vectors, int whole, eng_mask mask, const float *a, const float *b,
                      float *c)
{
    size_t i = 0;
    for (; i + ENG_TILE_ROWS <= p->rows; i += ENG_TILE_ROWS) {
        tile(p, ENG_TILE_ROWS, vectors, whole, mask, a + i * p->a_row, b, c + i * p->c_row);
    }
    for (; i + 2 <= p->rows; i += 2) {
        tile(p, 2, vectors, whole, mask, a + i * p->a_row, b, c + i * p->c_row);
    }
    if (i < p->rows) {
        tile(p, 1, vectors, whole, mask, a + i * p->a_row, b, c + i * p->c_row);
    }
}

ENG_INLINE void matmul(const eng_matmul_f32_params *p, const float *a, const float *b, float *c)
{
    size_t j = 0;
    for (; j + 2 * ENG_LANES <= p->cols; j += 2 * ENG_LANES) {
        strip(p, 2, 1, mask_first(ENG_LANES), a, b + j, c + j);
    }
    if (j + ENG_LANES <= p->cols) {
        strip(p, 1, 1, mask_first(ENG_LANES), a, b + j, c + j);
        j += ENG_LANES;
    }
    if (j < p->cols) {
        strip(p, 1, 0, mask_first(p->cols - j), a, b + j, c + j);
    }
}
