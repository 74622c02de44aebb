/* SPDX-License-Identifier: Apache-2.0 */
/* Float32 training: forward, backward, losses, optimizers, initialization.
 *
 * Layouts as in infer_s8.h, with a leading batch: activations [batch][h][w][c], conv weights
 * [out_c][kernel_h][kernel_w][in_c], dense weights [out][in], row-major. batch >= 1.
 * Backward kernels ACCUMULATE parameter gradients (dw += ..., dbias += ...; the caller zeroes them once a step) and
 * OVERWRITE dx. Where dx may be null, the gradient of the input is not computed: the first layer needs none.
 * Sums run in the order of their index, each product rounded before it is added: no vector width and no blocking changes
 * a bit, and neither does the contents of scratch. Compile with -ffp-contract=off.
 * Convolutions sum dw and dbias over the batch in groups of ENG_GROUP_F32 samples: the first group adds to what is there,
 * every other one is summed from 0 and then added, in order. So threads can share groups and give the same bits.
 * NaN and infinity go through every kernel, so that a diverged network shows in the loss.
 * Nothing overlaps unless a kernel says that it works in place. */
#ifndef ENG_TRAIN_F32_H
#define ENG_TRAIN_F32_H

#include "eng/random.h"
#include "eng/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ENG_GROUP_F32 16

/* Sizes and distances in elements, all at least 1. */
typedef struct {
    size_t rows, cols, steps;
    size_t a_row, a_step; /* between a(i, s) and a(i+1, s); between a(i, s) and a(i, s+1) */
    size_t b_step;        /* between rows of b, >= cols */
    size_t c_row;         /* between rows of c, >= cols */
} eng_matmul_f32_params;

/* c[i][j] += sum_s a(i, s) * b[s][j], s ascending. The work of dense and conv2d in both directions is this one loop. */
void eng_matmul_f32(const eng_matmul_f32_params *p, const float *a, const float *b, float *c);

typedef struct {
    size_t rows, cols;
} eng_matrix_size;

/* y[j][i] = x[i][j] for x [rows][cols]. */
void eng_transpose_f32(const eng_matrix_size *size, const float *x, float *y);

/* y[i][j] = row[j] for y [rows][cols]: a bias before the sum. */
void eng_broadcast_f32(const eng_matrix_size *size, const float *row, float *y);

/* sum[j] += sum_i x[i][j] for x [rows][cols]: the gradient of a bias. */
void eng_sum_rows_f32(const eng_matrix_size *size, const float *x, float *sum);

typedef struct {
    size_t batch;
    uint16_t in, out;
} eng_dense_f32_params;

/* Dense:  y[b][n] = bias[n] + sum_k x[b][k] * w[n][k]
 *   x [batch][in], w [out][in], bias [out], y [batch][out]; scratch: eng_dense_f32_scratch bytes, 4-byte aligned, null if 0.
 * Scratch holds w transposed, which pays from a batch of 4 on; smaller batches need none and give the same bits.
 * Cost: batch*in*out multiply-adds. */
void eng_dense_f32(const eng_dense_f32_params *p, const float *x, const float *w, const float *bias, float *y, float *scratch);
size_t eng_dense_f32_scratch(const eng_dense_f32_params *p);

/* dw[n][k] += sum_b dy[b][n] * x[b][k],  dbias[n] += sum_b dy[b][n],  dx[b][k] = sum_n dy[b][n] * w[n][k].
 * dx may be null. Cost: twice the forward pass, once without dx. */
void eng_dense_f32_backward(const eng_dense_f32_params *p, const float *x, const float *w, const float *dy, float *dw,
                            float *dbias, float *dx);

/* (kernel - 1) * dilation < 65536 in both directions. */
typedef struct {
    size_t batch;
    eng_window window;
    uint16_t in_c, out_c;
} eng_conv2d_f32_params;

/* 2-D convolution:  y[b][r][q][n] = bias[n] + sum_{i,j,c} w[n][i][j][c] * x[b][..][..][c]; padding holds 0.
 *   x [batch][in_h][in_w][in_c], w [out_c][kernel_h][kernel_w][in_c], bias [out_c], y [batch][out_h][out_w][out_c]
 *   scratch: eng_conv2d_f32_scratch bytes, 4-byte aligned: w transposed and one row of output positions' patches.
 * Cost: batch*out_h*out_w*out_c*kernel_h*kernel_w*in_c multiply-adds. */
void eng_conv2d_f32(const eng_conv2d_f32_params *p, const float *x, const float *w, const float *bias, float *y,
                    float *scratch);
size_t eng_conv2d_f32_scratch(const eng_conv2d_f32_params *p);

/* dw[n][..] += sum over positions of dy[..][n] * patch, dbias[n] += sum over positions of dy[..][n],
 * dx[pixel] = sum over the taps that read it of dy * w. dx may be null.
 *   scratch: eng_conv2d_f32_backward_scratch bytes: two rows of patches, and the gradients of a group if there are more than
 *   one.  Cost: twice the forward pass, once without dx. */
void eng_conv2d_f32_backward(const eng_conv2d_f32_params *p, const float *x, const float *w, const float *dy, float *dw,
                             float *dbias, float *dx, float *scratch);
size_t eng_conv2d_f32_backward_scratch(const eng_conv2d_f32_params *p);

/* (kernel - 1) * dilation < 65536 in both directions; in_h * in_w < 2^32. */
typedef struct {
    size_t batch;
    eng_window window;
    uint16_t channels;
} eng_pool2d_f32_params;

/* Max pool:  y[b][r][q][c] = max of the taps inside the image; index, of y's shape, is the pixel (row * in_w + column) that it
 * came from: the first of equals, and the first NaN if there is one. */
void eng_max_pool2d_f32(const eng_pool2d_f32_params *p, const float *x, float *y, uint32_t *index);

/* dx[pixel] = sum of the dy whose maximum it was. index as the forward pass left it. */
void eng_max_pool2d_f32_backward(const eng_pool2d_f32_params *p, const uint32_t *index, const float *dy, float *dx);

/* Convolution, ReLU and a max pool without overlap in one: window is the convolution's, its positions are pooled in windows
 * of pool_h x pool_w, and what does not fill a window is left out. The same domain as eng_conv2d_f32. */
typedef struct {
    size_t batch;
    eng_window window;
    uint16_t in_c, out_c;
    uint16_t pool_h, pool_w; /* at most window.out_h, window.out_w; pool_h * pool_w <= 256 */
    float limit;             /* > 0: of ReLU, as in eng_relu_f32; 6 is ReLU6, infinity is ReLU */
} eng_conv2d_max_pool2d_f32_params;

/* y[b][R][Q][n] = relu(max of the window's sums);  winner, of y's shape, is the position (row * pool_w + column) of the
 * maximum: the first of equals, and the first NaN if there is one. x, w, bias as in eng_conv2d_f32; y [batch][out_h /
 * pool_h][out_w / pool_w][out_c] scratch: eng_conv2d_max_pool2d_f32_scratch bytes: w transposed, a sum per channel and, if
 * padded, one image. The same y as the three layers one after the other. Cost: the convolution's, nothing is stored between. */
void eng_conv2d_max_pool2d_f32(const eng_conv2d_max_pool2d_f32_params *p, const float *x, const float *w, const float *bias,
                               float *y, uint8_t *winner, float *scratch);
size_t eng_conv2d_max_pool2d_f32_scratch(const eng_conv2d_max_pool2d_f32_params *p);

/* With g = dy where 0 < y < limit, else 0:  dw[n][..] += sum over pooled positions of g[n] * the winner's patch, dbias += sum
 * g, dx[pixel] = sum over the winners that read it of g * w. dx may be null. y and winner as the forward pass left them.
 * Products with g = 0 are added too, so that NaN and infinity in x show.
 *   scratch: eng_conv2d_max_pool2d_f32_backward_scratch bytes.
 * Cost: per pooled output kernel_h*kernel_w*in_c multiply-adds, twice that with dx. */
void eng_conv2d_max_pool2d_f32_backward(const eng_conv2d_max_pool2d_f32_params *p, const float *x, const float *w,
                                        const float *y, const uint8_t *winner, const float *dy, float *dw, float *dbias,
                                        float *dx, float *scratch);
size_t eng_conv2d_max_pool2d_f32_backward_scratch(const eng_conv2d_max_pool2d_f32_params *p);

/* Average pool:  y[b][r][q][c] = sum / count of the taps inside the image. */
void eng_average_pool2d_f32(const eng_pool2d_f32_params *p, const float *x, float *y);

/* dx[pixel] = sum over the positions that read it of dy / count. */
void eng_average_pool2d_f32_backward(const eng_pool2d_f32_params *p, const float *dy, float *dx);

/* y = min(max(x, 0), limit); limit 6 is ReLU6, infinity is ReLU. In place (x == y) allowed. */
typedef struct {
    size_t count;
    float limit; /* > 0 */
} eng_relu_f32_params;

void eng_relu_f32(const eng_relu_f32_params *p, const float *x, float *y);

/* dx = dy where 0 < y < limit, else 0: at the corners the gradient is 0. In place (dx == dy) allowed. */
void eng_relu_f32_backward(const eng_relu_f32_params *p, const float *y, const float *dy, float *dx);

typedef struct {
    size_t rows;
    uint16_t classes;
} eng_softmax_f32_params;

/* y[i][n] = exp(x[i][n] - max_m x[i][m]) / sum_k exp(x[i][k] - max_m x[i][m]). In place (x == y) allowed. */
void eng_softmax_f32(const eng_softmax_f32_params *p, const float *x, float *y);

/* dx[i][n] = y[i][n] * (dy[i][n] - sum_k dy[i][k] * y[i][k]). In place (dx == dy) allowed. */
void eng_softmax_f32_backward(const eng_softmax_f32_params *p, const float *y, const float *dy, float *dx);

/* Softmax with cross-entropy, fused and stable:  loss[i] = log(sum_k exp(x[i][k] - max)) + max - x[i][label[i]],
 * dx[i][n] = (softmax(x[i])[n] - (n == label[i])) / rows: the gradient of the mean loss. label[i] < classes.
 *   x [rows][classes] logits, label [rows], loss [rows], dx [rows][classes]; dx may be null or x. */
void eng_softmax_cross_entropy_f32(const eng_softmax_f32_params *p, const float *x, const uint16_t *label, float *loss,
                                   float *dx);

/* Index of the largest of count >= 1 numbers, the first of equals; NaN is never larger. */
uint16_t eng_argmax_f32(uint16_t count, const float *x);

typedef struct {
    size_t rows, cols;
} eng_mse_f32_params;

/* Mean squared error:  loss[i] = mean_j (x[i][j] - target[i][j])^2, dx = 2 * (x - target) / (rows * cols): the gradient of
 * the mean loss. dx may be null or x. */
void eng_mse_f32(const eng_mse_f32_params *p, const float *x, const float *target, float *loss, float *dx);

typedef struct {
    size_t count;
    float learning_rate;
    float momentum; /* in [0, 1) */
} eng_sgd_f32_params;

/* velocity = momentum * velocity - learning_rate * dw;  w += velocity. velocity starts at 0; null if momentum is 0. */
void eng_sgd_f32(const eng_sgd_f32_params *p, const float *dw, float *w, float *velocity);

typedef struct {
    size_t count;
    float learning_rate;
    float beta1, beta2; /* in [0, 1) */
    float epsilon;
} eng_adam_f32_params;

/* One step, the t-th (t = 1, 2, ...):  m += (dw - m) * (1 - beta1);  v += (dw^2 - v) * (1 - beta2);
 * w -= rate * m / (sqrt(v) + epsilon),  rate = learning_rate * sqrt(1 - beta2^t) / (1 - beta1^t). m and v start at 0.
 * Source: D. Kingma, J. Ba, "Adam", ICLR 2015, the form at the end of section 2 (epsilon is not corrected), as Keras does. */
void eng_adam_f32(const eng_adam_f32_params *p, uint32_t t, const float *dw, float *w, float *m, float *v);

/* w[i] uniform in [-limit, limit). */
void eng_init_uniform_f32(eng_rng *rng, size_t count, float limit, float *w);

/* w[i] normal with mean 0 and the given deviation, values beyond twice the deviation drawn again. */
void eng_init_normal_f32(eng_rng *rng, size_t count, float deviation, float *w);

/* He:     variance 2 / fan_in.  Source: K. He et al., ICCV 2015, equation 10.
 * Glorot: variance 2 / (fan_in + fan_out).  Source: X. Glorot, Y. Bengio, AISTATS 2010, equation 16.
 * limit is for eng_init_uniform_f32, deviation for eng_init_normal_f32 (corrected for the truncation: / 0.8796). */
float eng_he_limit_f32(uint32_t fan_in);
float eng_he_deviation_f32(uint32_t fan_in);
float eng_glorot_limit_f32(uint32_t fan_in, uint32_t fan_out);
float eng_glorot_deviation_f32(uint32_t fan_in, uint32_t fan_out);

#ifdef __cplusplus
}
#endif

#endif
