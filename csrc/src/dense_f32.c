/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

#include "arithmetic_f32.h"

#include <string.h>

/* From this batch on, transposing the weights costs less than it saves. */
enum { TRANSPOSE_BATCH = 4 };

size_t eng_dense_f32_scratch(const eng_dense_f32_params *p)
{
    return p->batch < TRANSPOSE_BATCH ? 0 : (size_t)p->in * p->out * sizeof(float);
}

static float dot(uint16_t n, const float *x, const float *w, float sum)
{
    for (uint16_t k = 0; k < n; ++k) {
        sum = ENG_MULTIPLY_ADD(sum, x[k], w[k]);
    }
    return sum;
}

static void dense_rows(const eng_dense_f32_params *p, const float *x, const float *w, const float *bias, float *y)
{
    for (size_t b = 0; b < p->batch; ++b) {
        for (uint16_t n = 0; n < p->out; ++n) {
            *y++ = dot(p->in, x, w + (size_t)n * p->in, bias[n]);
        }
        x += p->in;
    }
}

void eng_dense_f32(const eng_dense_f32_params *p, const float *x, const float *w, const float *bias, float *y, float *scratch)
{
    if (p->batch < TRANSPOSE_BATCH) {
        dense_rows(p, x, w, bias, y);
        return;
    }
    const eng_matrix_size w_size = {.rows = p->out, .cols = p->in};
    const eng_matrix_size y_size = {.rows = p->batch, .cols = p->out};
    const eng_matmul_f32_params product = {
        .rows = p->batch,
        .cols = p->out,
        .steps = p->in,
        .a_row = p->in,
        .a_step = 1,
        .b_step = p->out,
        .c_row = p->out,
    };
    eng_transpose_f32(&w_size, w, scratch);
    eng_broadcast_f32(&y_size, bias, y);
    eng_matmul_f32(&product, x, scratch, y);
}

void eng_dense_f32_backward(const eng_dense_f32_params *p, const float *x, const float *w, const float *dy, float *dw,
                            float *dbias, float *dx)
{
    const eng_matrix_size dy_size = {.rows = p->batch, .cols = p->out};
    const eng_matmul_f32_params weights = {
        .rows = p->out,
        .cols = p->in,
        .steps = p->batch,
        .a_row = 1,
        .a_step = p->out,
        .b_step = p->in,
        .c_row = p->in,
    };
    const eng_matmul_f32_params inputs = {
        .rows = p->batch,
        .cols = p->in,
        .steps = p->out,
        .a_row = p->out,
        .a_step = 1,
        .b_step = p->in,
        .c_row = p->in,
    };
    eng_sum_rows_f32(&dy_size, dy, dbias);
    eng_matmul_f32(&weights, dy, x, dw);
    if (dx) {
        memset(dx, 0, (size_t)p->batch * p->in * sizeof *dx);
        eng_matmul_f32(&inputs, dy, w, dx);
    }
}
