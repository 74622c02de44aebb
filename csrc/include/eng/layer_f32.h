/* SPDX-License-Identifier: Apache-2.0 */
/* Float32 layers, forward and backward, beyond those of train_f32.h; the same conventions. */
#ifndef ENG_LAYER_F32_H
#define ENG_LAYER_F32_H

#include "eng/train_f32.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Activations, in place (x == y, dx == dy) allowed. The backward pass needs the output alone. */

typedef struct {
    size_t count;
    float slope; /* >= 0: of negative inputs */
} eng_leaky_relu_f32_params;

/* y = x > 0 ? x : slope * x.  dx = y > 0 ? dy : slope * dy. */
void eng_leaky_relu_f32(const eng_leaky_relu_f32_params *p, const float *x, float *y);
void eng_leaky_relu_f32_backward(const eng_leaky_relu_f32_params *p, const float *y, const float *dy, float *dx);

typedef struct {
    size_t count;
    float alpha; /* > 0: -alpha is the limit of negative inputs */
} eng_elu_f32_params;

/* y = x > 0 ? x : alpha * (e^x - 1).  dx = y > 0 ? dy : dy * (y + alpha). */
void eng_elu_f32(const eng_elu_f32_params *p, const float *x, float *y);
void eng_elu_f32_backward(const eng_elu_f32_params *p, const float *y, const float *dy, float *dx);

/* y = tanh(x).  dx = dy * (1 - y^2). */
void eng_tanh_f32(size_t count, const float *x, float *y);
void eng_tanh_f32_backward(size_t count, const float *y, const float *dy, float *dx);

/* y = 1 / (1 + e^-x).  dx = dy * y * (1 - y). */
void eng_sigmoid_f32(size_t count, const float *x, float *y);
void eng_sigmoid_f32_backward(size_t count, const float *y, const float *dy, float *dx);

/* y = log(1 + e^x).  dx = dy * (1 - e^-y), which is dy * sigmoid(x). */
void eng_softplus_f32(size_t count, const float *x, float *y);
void eng_softplus_f32_backward(size_t count, const float *y, const float *dy, float *dx);

/* y = e^x.  dx = dy * y. */
void eng_exponential_f32(size_t count, const float *x, float *y);
void eng_exponential_f32_backward(size_t count, const float *y, const float *dy, float *dx);

/* y = a + b: where branches join, and the gradient where they part. In place (y == a or y == b) allowed. */
void eng_add_f32(size_t count, const float *a, const float *b, float *y);

typedef struct {
    size_t count;
    float rate; /* in [0, 1): share of the elements that become 0 */
} eng_dropout_f32_params;

/* kept[i] = uniform draw >= rate, one draw an element in order;  y = kept ? x / (1 - rate) : x * 0.  In place allowed.
 * Source: N. Srivastava et al., JMLR 2014, scaled in training so that inference needs nothing. */
void eng_dropout_f32(const eng_dropout_f32_params *p, eng_rng *rng, const float *x, uint8_t *kept, float *y);

/* dx = kept ? dy / (1 - rate) : dy * 0. In place allowed. */
void eng_dropout_f32_backward(const eng_dropout_f32_params *p, const uint8_t *kept, const float *dy, float *dx);

/* Image of in_c channels, each with multiplier kernels of its own. (kernel - 1) * dilation < 65536 in both directions. */
typedef struct {
    size_t batch;
    eng_window window;
    uint16_t in_c, multiplier; /* in_c * multiplier < 65536 */
} eng_depthwise_conv2d_f32_params;

/* Depthwise convolution:  y[b][r][q][c*multiplier + m] = bias[..] + sum_{i,j} w[i][j][c*multiplier + m] * x[b][..][..][c];
 * padding 0. x [batch][in_h][in_w][in_c], w [kernel_h][kernel_w][out_c], bias [out_c], y [batch][out_h][out_w][out_c] */
void eng_depthwise_conv2d_f32(const eng_depthwise_conv2d_f32_params *p, const float *x, const float *w, const float *bias,
                              float *y);

/* Adds to dw and dbias, overwrites dx, which may be null. */
void eng_depthwise_conv2d_f32_backward(const eng_depthwise_conv2d_f32_params *p, const float *x, const float *w,
                                       const float *dy, float *dw, float *dbias, float *dx);

/* Rows are samples times positions. */
typedef struct {
    size_t rows;
    uint16_t channels;
    float epsilon;  /* > 0 */
    float momentum; /* in [0, 1): of the running statistics */
} eng_batch_norm_f32_params;

/* With the batch's own statistics, the variance divided by rows: xhat = (x - mean) * inverse,
 * inverse = 1 / sqrt(variance + epsilon), y = gamma * xhat + beta;
 * running_mean += (mean - running_mean) * (1 - momentum), running_variance alike.
 *   x, y, xhat [rows][channels]; gamma, beta, running_mean, running_variance, inverse [channels]. xhat may be x, y may not.
 * Sums run in blocks of 256 rows whose sums are then added.  Source: S. Ioffe, C. Szegedy, ICML 2015, algorithm 1. */
void eng_batch_norm_f32_train(const eng_batch_norm_f32_params *p, const float *x, const float *gamma, const float *beta,
                              float *running_mean, float *running_variance, float *xhat, float *inverse, float *y);

/* y = gamma * (x - mean) / sqrt(variance + epsilon) + beta. In place allowed. */
void eng_batch_norm_f32(const eng_batch_norm_f32_params *p, const float *x, const float *gamma, const float *beta,
                        const float *mean, const float *variance, float *y);

/* dgamma += sum dy * xhat;  dbeta += sum dy;
 * dx = gamma * inverse * (dy - (sum dy + xhat * sum dy * xhat) / rows), null or dy allowed. xhat and inverse as the training
 * pass left them.  scratch: two times channels floats. */
void eng_batch_norm_f32_backward(const eng_batch_norm_f32_params *p, const float *xhat, const float *inverse,
                                 const float *gamma, const float *dy, float *dgamma, float *dbeta, float *dx, float *scratch);

#ifdef __cplusplus
}
#endif

#endif
