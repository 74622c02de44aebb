/* SPDX-License-Identifier: Apache-2.0 */
/* Training kernels over a batch that threads share. Results are those of one thread, bit for bit: forward passes and gradients
 * of inputs are split by sample, gradients of dense weights by column, those of convolutions by group (train_f32.h). */
#ifndef ENGINE_TRAIN_TEAM_H
#define ENGINE_TRAIN_TEAM_H

#include "eng/train_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const eng_products_kernels *products;
    const eng_train_kernels *kernels;
    size_t threads; /* at least 1, the caller's among them */
} engine_team;

/* All return false, with nothing promised about the outputs, if there is no memory for scratch. dx may be null. */
bool engine_dense(const engine_team *team, const eng_dense_f32_params *p, const float *x, const float *w, const float *bias,
                  float *y);
bool engine_dense_backward(const engine_team *team, const eng_dense_f32_params *p, const float *x, const float *w,
                           const float *dy, float *dw, float *dbias, float *dx);
bool engine_conv2d(const engine_team *team, const eng_conv2d_f32_params *p, const float *x, const float *w, const float *bias,
                   float *y);
bool engine_conv2d_backward(const engine_team *team, const eng_conv2d_f32_params *p, const float *x, const float *w,
                            const float *dy, float *dw, float *dbias, float *dx);
bool engine_conv2d_max_pool2d(const engine_team *team, const eng_conv2d_max_pool2d_f32_params *p, const float *x,
                              const float *w, const float *bias, float *y, uint8_t *winner);
bool engine_conv2d_max_pool2d_backward(const engine_team *team, const eng_conv2d_max_pool2d_f32_params *p, const float *x,
                                       const float *w, const float *y, const uint8_t *winner, const float *dy, float *dw,
                                       float *dbias, float *dx);

/* rows of size floats from x, row index[i] to row i of y. */
bool engine_gather(const engine_team *team, size_t count, size_t size, const uint32_t *index, const float *x, float *y);

#ifdef __cplusplus
}
#endif

#endif
