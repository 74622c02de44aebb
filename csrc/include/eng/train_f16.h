/* SPDX-License-Identifier: Apache-2.0 */
/* Layers in the arithmetic of IEEE 754 half precision, for training as on hardware that has nothing wider: float arrays whose
 * elements are all representable in half. Every product and every partial sum is rounded to half, to nearest, ties to even;
 * sums run in the order that train_f32.h and layer_f32.h give. Beyond 65504 comes infinity; subnormals are kept.
 * Products and sums of two halves computed in float and then rounded are those of half arithmetic: float has more than twice
 * the digits, so that rounding twice changes nothing.  Source: S. Figueroa, "When is double rounding innocuous?", 1995. */
#ifndef ENG_TRAIN_F16_H
#define ENG_TRAIN_F16_H

#include "eng/layer_f32.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The nearest half, ties to even; NaN stays NaN, quiet, with the upper bits of its payload. */
float eng_nearest_f16(float x);

/* y[i] = nearest half of x[i]; in place allowed. */
void eng_round_f16(size_t count, const float *x, float *y);

void eng_matmul_f16(const eng_matmul_f32_params *p, const float *a, const float *b, float *c);
void eng_sum_rows_f16(const eng_matrix_size *size, const float *x, float *sum);
void eng_dense_f16(const eng_dense_f32_params *p, const float *x, const float *w, const float *bias, float *y, float *scratch);
size_t eng_dense_f16_scratch(const eng_dense_f32_params *p);
void eng_dense_f16_backward(const eng_dense_f32_params *p, const float *x, const float *w, const float *dy, float *dw,
                            float *dbias, float *dx);
void eng_conv2d_f16(const eng_conv2d_f32_params *p, const float *x, const float *w, const float *bias, float *y,
                    float *scratch);
size_t eng_conv2d_f16_scratch(const eng_conv2d_f32_params *p);
void eng_conv2d_f16_backward(const eng_conv2d_f32_params *p, const float *x, const float *w, const float *dy, float *dw,
                             float *dbias, float *dx, float *scratch);
size_t eng_conv2d_f16_backward_scratch(const eng_conv2d_f32_params *p);
void eng_depthwise_conv2d_f16(const eng_depthwise_conv2d_f32_params *p, const float *x, const float *w, const float *bias,
                              float *y);
void eng_depthwise_conv2d_f16_backward(const eng_depthwise_conv2d_f32_params *p, const float *x, const float *w,
                                       const float *dy, float *dw, float *dbias, float *dx);

#ifdef __cplusplus
}
#endif

#endif
