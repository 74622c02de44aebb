/* SPDX-License-Identifier: Apache-2.0 */
/* The training kernels in half precision for one instruction set, ENG_PREFIX. */
#include "train_f16_names.h"

#include "eng/train_kernels.h"

#define ENG_VECTOR_MADD(sum, a, b) nearest_half(add(sum, nearest_half(multiply(a, b))))
#include "matmul_run.h"

float eng_nearest_f16(float x)
{
    return _cvtsh_ss(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

void eng_round_f16(size_t count, const float *x, float *y)
{
    size_t i = 0;
    for (; i + ENG_LANES <= count; i += ENG_LANES) {
        store(y + i, nearest_half(load(x + i)));
    }
    const eng_mask rest = mask_first(count - i);
    store_first(y + i, rest, nearest_half(load_first(x + i, rest)));
}

void eng_matmul_f16(const eng_matmul_f32_params *p, const float *a, const float *b, float *c)
{
    matmul(p, a, b, c);
}

#include "../src/conv2d_f16.c"
#include "../src/dense_f16.c"
#include "../src/depthwise_conv2d_f16.c"
#include "../src/sum_rows_f16.c"
