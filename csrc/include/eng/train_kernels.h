/* SPDX-License-Identifier: Apache-2.0 */
/* Host only: the training kernels of train_f32.h, layer_f32.h and train_f16.h for the instruction set at hand. All give the
 * same bits. Twins: csrc/x86; what has none is the portable kernel. */
#ifndef ENG_TRAIN_KERNELS_H
#define ENG_TRAIN_KERNELS_H

#include "eng/prepare.h"
#include "eng/train_f16.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One arithmetic's kernels; each is the function of its name. */
typedef struct {
    void (*matmul)(const eng_matmul_f32_params *p, const float *a, const float *b, float *c);
    void (*sum_rows)(const eng_matrix_size *size, const float *x, float *sum);
    void (*dense)(const eng_dense_f32_params *p, const float *x, const float *w, const float *bias, float *y, float *scratch);
    void (*conv2d)(const eng_conv2d_f32_params *p, const float *x, const float *w, const float *bias, float *y, float *scratch);
    void (*conv2d_backward)(const eng_conv2d_f32_params *p, const float *x, const float *w, const float *dy, float *dw,
                            float *dbias, float *dx, float *scratch);
    void (*depthwise_conv2d)(const eng_depthwise_conv2d_f32_params *p, const float *x, const float *w, const float *bias,
                             float *y);
    void (*depthwise_conv2d_backward)(const eng_depthwise_conv2d_f32_params *p, const float *x, const float *w, const float *dy,
                                      float *dw, float *dbias, float *dx);
} eng_products_kernels;

typedef struct {
    eng_products_kernels f32, f16;
    void (*conv2d_max_pool2d)(const eng_conv2d_max_pool2d_f32_params *p, const float *x, const float *w, const float *bias,
                              float *y, uint8_t *winner, float *scratch);
    void (*conv2d_max_pool2d_backward)(const eng_conv2d_max_pool2d_f32_params *p, const float *x, const float *w,
                                       const float *y, const uint8_t *winner, const float *dy, float *dw, float *dbias,
                                       float *dx, float *scratch);
    void (*sgd)(const eng_sgd_f32_params *p, const float *dw, float *w, float *velocity);
    void (*adam)(const eng_adam_f32_params *p, uint32_t t, const float *dw, float *w, float *m, float *v);
    void (*round_f16)(size_t count, const float *x, float *y);
} eng_train_kernels;

/* isa must be available (eng_isa_available). */
const eng_train_kernels *eng_train_kernels_of(eng_isa isa);

#ifdef __cplusplus
}
#endif

#endif
