/* SPDX-License-Identifier: Apache-2.0 */
/* The float training kernels for one instruction set, ENG_PREFIX: products by hand, the rest by the compiler. */
#include "train_names.h"

#include "eng/train_kernels.h"

#define ENG_VECTOR_MADD(sum, a, b) add(sum, multiply(a, b))
#include "matmul_run.h"

void eng_matmul_f32(const eng_matmul_f32_params *p, const float *a, const float *b, float *c)
{
    matmul(p, a, b, c);
}

#include "../src/adam_f32.c"
#include "../src/conv2d_f32.c"
#include "../src/dense_f32.c"
#include "../src/depthwise_conv2d_f32.c"
#include "../src/relu_f32.c"
#include "../src/rows_f32.c"
#include "../src/sgd_f32.c"
#include "../src/sum_rows_f32.c"

#define ENG_POOLED_TWIN
#include "../src/conv2d_max_pool2d_f32.c"

#include "conv2d_max_pool2d_run.h"
