/* SPDX-License-Identifier: Apache-2.0 */
/* Which twins train. Apart from dispatch.c, so that inference links nothing of training. */
#include "eng/train_kernels.h"

/* The kernels whose names begin with prefix. */
#define KERNELS(prefix)                                                                                                        \
    {                                                                                                                          \
        .f32 =                                                                                                                 \
            {                                                                                                                  \
                .matmul = prefix##matmul_f32,                                                                                  \
                .sum_rows = prefix##sum_rows_f32,                                                                              \
                .dense = prefix##dense_f32,                                                                                    \
                .conv2d = prefix##conv2d_f32,                                                                                  \
                .conv2d_backward = prefix##conv2d_f32_backward,                                                                \
                .depthwise_conv2d = prefix##depthwise_conv2d_f32,                                                              \
                .depthwise_conv2d_backward = prefix##depthwise_conv2d_f32_backward,                                            \
            },                                                                                                                 \
        .f16 =                                                                                                                 \
            {                                                                                                                  \
                .matmul = prefix##matmul_f16,                                                                                  \
                .sum_rows = prefix##sum_rows_f16,                                                                              \
                .dense = prefix##dense_f16,                                                                                    \
                .conv2d = prefix##conv2d_f16,                                                                                  \
                .conv2d_backward = prefix##conv2d_f16_backward,                                                                \
                .depthwise_conv2d = prefix##depthwise_conv2d_f16,                                                              \
                .depthwise_conv2d_backward = prefix##depthwise_conv2d_f16_backward,                                            \
            },                                                                                                                 \
        .conv2d_max_pool2d = prefix##conv2d_max_pool2d_f32,                                                                    \
        .conv2d_max_pool2d_backward = prefix##conv2d_max_pool2d_f32_backward,                                                  \
        .sgd = prefix##sgd_f32,                                                                                                \
        .adam = prefix##adam_f32,                                                                                              \
        .round_f16 = prefix##round_f16,                                                                                        \
    }

static const eng_train_kernels portable = KERNELS(eng_);

#ifdef __x86_64__

#include <cpuid.h>

#include "train_twins.h"

static const eng_train_kernels avx2 = KERNELS(eng_avx2_);
static const eng_train_kernels avx512vnni = KERNELS(eng_avx512vnni_);

const eng_train_kernels *eng_train_kernels_of(eng_isa isa)
{
    uint32_t eax, ebx, ecx = 0, edx;
    const bool has_f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
    if (!has_f16c) {
        return &portable;
    }
    return isa == ENG_ISA_AVX512VNNI ? &avx512vnni : isa == ENG_ISA_PORTABLE ? &portable : &avx2;
}

#else

const eng_train_kernels *eng_train_kernels_of(eng_isa isa)
{
    (void)isa;
    return &portable;
}

#endif
