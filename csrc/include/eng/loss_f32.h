/* SPDX-License-Identifier: Apache-2.0 */
/* Float32 losses beyond softmax cross-entropy with labels and the mean squared error. The formulas are those of Keras 3.
 *
 * x and target [rows][cols]; loss [rows], each the mean over its columns unless said otherwise; dx [rows][cols], the gradient
 * of the mean of loss, may be null or x. NaN goes through. Scratch: none. */
#ifndef ENG_LOSS_F32_H
#define ENG_LOSS_F32_H

#include "eng/train_f32.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    size_t rows, cols;
} eng_loss_f32_params;

/* |x - target|, gradient 0 where they are equal. */
void eng_mae_f32(const eng_loss_f32_params *p, const float *x, const float *target, float *loss, float *dx);

typedef struct {
    size_t rows, cols;
    float delta; /* > 0 */
} eng_huber_f32_params;

/* With e = x - target: e^2 / 2 where |e| <= delta, else delta * |e| - delta^2 / 2. */
void eng_huber_f32(const eng_huber_f32_params *p, const float *x, const float *target, float *loss, float *dx);

/* (log(1 + max(x, 1e-7)) - log(1 + max(target, 1e-7)))^2, gradient 0 where x < 1e-7. */
void eng_msle_f32(const eng_loss_f32_params *p, const float *x, const float *target, float *loss, float *dx);

/* x logits, target in [0, 1]:  max(x, 0) - x * target + log(1 + exp(-|x|)), gradient sigmoid(x) - target. */
void eng_binary_cross_entropy_f32(const eng_loss_f32_params *p, const float *x, const float *target, float *loss, float *dx);

/* x logits, target one-hot or shares that sum to 1:  loss[i] = -sum_n target[i][n] * log(softmax(x[i])[n]), a sum, not a mean,
 * gradient (softmax(x) * sum_n target[i][n] - target) / rows. */
void eng_categorical_cross_entropy_f32(const eng_loss_f32_params *p, const float *x, const float *target, float *loss,
                                       float *dx);

/* target -1 or 1:  max(1 - target * x, 0)^2. */
void eng_squared_hinge_f32(const eng_loss_f32_params *p, const float *x, const float *target, float *loss, float *dx);

/* x[i][j] *= factor[i] for x [rows][cols]: weights of samples, for loss (cols 1) and gradient. */
void eng_scale_rows_f32(const eng_matrix_size *size, const float *factor, float *x);

#ifdef __cplusplus
}
#endif

#endif
