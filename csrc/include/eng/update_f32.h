/* SPDX-License-Identifier: Apache-2.0 */
/* Float32 optimizers beyond SGD and Adam, weight decay and gradient clipping. The rules are those of Keras 3.
 *
 * Every array has count elements. w and the states change in place, dw is read. t counts steps from 1. States start at 0
 * unless said otherwise. Square roots are libm's, correctly rounded everywhere; nothing else of libm is used. */
#ifndef ENG_UPDATE_F32_H
#define ENG_UPDATE_F32_H

#include "eng/train_f32.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Nesterov's momentum: velocity = momentum * velocity - learning_rate * dw;  w += momentum * velocity - learning_rate * dw.
 * Source: I. Sutskever et al., ICML 2013, in the form without a look-ahead copy. */
void eng_nesterov_f32(const eng_sgd_f32_params *p, const float *dw, float *w, float *velocity);

typedef struct {
    size_t count;
    float learning_rate;
    float rho;      /* in [0, 1) */
    float momentum; /* in [0, 1) */
    float epsilon;  /* > 0 */
} eng_rmsprop_f32_params;

/* v = rho * v + (1 - rho) * dw^2;  step = learning_rate * dw / sqrt(v + epsilon);  w -= step.
 * average, null if not wanted, holds rho * average + (1 - rho) * dw, whose square is taken from v under the root (a difference
 * below 0, a rounding error, counts as 0). velocity, null if momentum is 0, holds momentum * velocity + step, which then is
 * the step.  Source: T. Hinton, lecture 6e of "Neural networks for machine learning". */
void eng_rmsprop_f32(const eng_rmsprop_f32_params *p, const float *dw, float *w, float *v, float *velocity, float *average);

typedef struct {
    size_t count;
    float learning_rate;
    float epsilon; /* > 0 */
} eng_adagrad_f32_params;

/* sum += dw^2;  w -= learning_rate * dw / sqrt(sum + epsilon). sum starts at 0.1 in Keras.
 * Source: J. Duchi et al., JMLR 2011. */
void eng_adagrad_f32(const eng_adagrad_f32_params *p, const float *dw, float *w, float *sum);

typedef struct {
    size_t count;
    float learning_rate;
    float rho;     /* in [0, 1) */
    float epsilon; /* > 0 */
} eng_adadelta_f32_params;

/* v = rho * v + (1 - rho) * dw^2;  step = dw * sqrt(u + epsilon) / sqrt(v + epsilon);  u = rho * u + (1 - rho) * step^2;
 * w -= learning_rate * step.  Source: M. Zeiler, arXiv 1212.5701, algorithm 1. */
void eng_adadelta_f32(const eng_adadelta_f32_params *p, const float *dw, float *w, float *v, float *u);

/* m += (dw - m) * (1 - beta1);  u = max(beta2 * u, |dw|);  w -= learning_rate * m / ((1 - beta1^t) * (u + epsilon)).
 * Source: D. Kingma, J. Ba, "Adam", ICLR 2015, algorithm 2. */
void eng_adamax_f32(const eng_adam_f32_params *p, uint32_t t, const float *dw, float *w, float *m, float *u);

/* Adam with Nesterov's momentum. With mu(t) = beta1 * (1 - 0.96^t / 2) and P(t) = mu(1) * ... * mu(t):
 * m += (dw - m) * (1 - beta1);  v += (dw^2 - v) * (1 - beta2);
 * a = mu(t+1) * m / (1 - P(t) * mu(t+1)) + (1 - mu(t)) * dw / (1 - P(t));
 * w -= learning_rate * a / (sqrt(v / (1 - beta2^t)) + epsilon).  Source: T. Dozat, ICLR 2016 workshop, algorithm 2. */
void eng_nadam_f32(const eng_adam_f32_params *p, uint32_t t, const float *dw, float *w, float *m, float *v);

typedef struct {
    size_t count;
    float learning_rate; /* > 0 */
    float l1, l2;        /* >= 0 */
    float shrinkage;     /* >= 0: l2 on the gradient alone */
    float beta;          /* >= 0 */
} eng_ftrl_f32_params;

/* Follow the regularized leader, with the paper's square root (learning_rate_power -1/2):
 * g = dw + 2 * shrinkage * w;  n' = n + dw^2;  z += g - (sqrt(n') - sqrt(n)) / learning_rate * w;
 * w = (clamp(z, -l1, l1) - z) / (sqrt(n') / learning_rate + 2 * (l2 + beta / (2 * learning_rate)));  n = n'.
 * n starts above 0 (0.1 in Keras).  Source: H. McMahan et al., KDD 2013, algorithm 1. */
void eng_ftrl_f32(const eng_ftrl_f32_params *p, const float *dw, float *w, float *n, float *z);

typedef struct {
    size_t count;
    float learning_rate;
    float weight_decay; /* >= 0 */
} eng_weight_decay_f32_params;

/* w -= w * weight_decay * learning_rate, before the update: decoupled from the gradient.
 * Source: I. Loshchilov, F. Hutter, ICLR 2019. */
void eng_weight_decay_f32(const eng_weight_decay_f32_params *p, float *w);

typedef struct {
    size_t count;
    float limit; /* > 0 */
} eng_clip_f32_params;

/* x = clamp(x, -limit, limit), in place; NaN stays. */
void eng_clip_f32(const eng_clip_f32_params *p, float *x);

/* Sum of squares, in blocks of 256 whose sums are then added, in order: relative error < (256 + count / 256) * 2^-23. */
float eng_sum_squares_f32(size_t count, const float *x);

/* limit / max(sqrt(sum_squares), limit): what brings a gradient of that norm down to the limit. 1 if the sum is NaN. */
float eng_clip_factor_f32(float sum_squares, float limit);

/* x *= factor. */
void eng_scale_f32(size_t count, float factor, float *x);

#ifdef __cplusplus
}
#endif

#endif
