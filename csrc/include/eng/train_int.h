/* SPDX-License-Identifier: Apache-2.0 */
/* Integer training: int8 weights, activations and errors, int16 masters, int32 sums, nothing else. No float, no 64-bit
 * integer but the one product of a requantization: host and chip agree bit for bit after any number of steps.
 *
 * The rule is stochastic gradient descent. Every rounding of an error or of a step is stochastic, so that its expectation is
 * exact and a step below one unit is not lost (S. Gupta et al., "Deep Learning with Limited Numerical Precision", ICML 2015,
 * section 3):
 *
 *   round(v, n) = floor((v + r) / 2^n), r uniform in [0, 2^n) from eng_rng.
 *
 *   masters   int16 s[out][in]; the weight is its upper byte, w = s >> 8 in [-127, 127], the lower byte the fraction that
 *             steps are collected in, 128 being the code exactly. Saturates at [-32512, 32767].
 *   forward   that of eng_dense_s8 and eng_conv2d_s8 with the weights w: what is trained is the int8 model itself.
 *   errors    int8 h with one exponent for all of them, a block: error = h * 2^t (M. Wang et al., "NITI: Training Integer
 *             Neural Networks Using Integer-only Arithmetic", 2020, sections III-A, III-B). The gradient passes rounding and
 *             requantization as if they were linear (straight through), and is 0 where an activation is clamped.
 *   steps     s -= round(sum of h * (x - zero_x), n). A layer's scales, the batch and the learning rate are one constant,
 *             mult / 2^shift: a step in weights of the integer network has to be scale_w^-2 times its gradient there
 *             (J. Lin et al., "On-Device Training Under 256KB Memory", NeurIPS 2022, section 3.1, equation 5).
 *             mult belongs to the errors, shift to n = shift - (sum of the t from the loss down to this layer).
 *
 * Limits: plain descent, no momentum; a weight's range is fixed by its scale (it saturates, it is never rescaled); one scale a
 * layer, not one an output; a single step moves a weight by at most 127 * 255 units of its master.
 *
 * Layouts as in infer_s8.h: x [rows][in] codes, w [out][in], y [rows][out]. rows is the batch, or for a convolution the batch
 * times the positions, over patches. Nothing overlaps unless it says in place. */
#ifndef ENG_TRAIN_INT_H
#define ENG_TRAIN_INT_H

#include <stdbool.h>

#include "eng/quant.h"
#include "eng/random.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ENG_MASTER_MIN (-32512) /* weight -127, fraction 0 */
#define ENG_MASTER_MAX 32767    /* weight 127, fraction 255 */
#define ENG_BIAS_MAX   INT32_C(0x40000000)

/* 1 <= in <= 32767; rows * in and rows * out fit size_t. */
typedef struct {
    size_t rows;
    uint16_t in, out;
    int8_t zero_x;
} eng_dense_int_params;

/* acc[i][n] = bias[n] + sum_k (w[n][k] >> 8) * (x[i][k] - zero_x).
 * |bias| <= 2^30, |x - zero_x| <= 255, |w >> 8| <= 127: |acc| <= 2^30 + 32767 * 32385 < 2^31.
 * Cost: rows * in * out multiply-adds. */
void eng_dense_int(const eng_dense_int_params *p, const int8_t *x, const int16_t *w, const int32_t *bias, int32_t *acc);

/* dx[i][k] = sum_n h[i][n] * (w[n][k] >> 8);  |dx| <= 65535 * 127 * 127 < 2^31. Outputs without error are skipped. */
void eng_dense_int_backward(const eng_dense_int_params *p, const int8_t *h, const int16_t *w, int32_t *dx);

/* dw[n][k] += sum_i h[i][n] * (x[i][k] - zero_x),  dbias[n] += sum_i h[i][n]. With dw and dbias 0 before and rows <= 66310,
 * |dw| <= rows * 127 * 255 < 2^31. */
void eng_dense_int_gradient(const eng_dense_int_params *p, const int8_t *x, const int8_t *h, int32_t *dw, int32_t *dbias);

/* How a layer's gradients become steps; see above. */
typedef struct {
    int16_t shift;
    uint8_t bias_mult; /* bias_mult / 2^bias_shift is 1 / (256 * scale_x^2), what a bias moves where a master moves by 1 */
    int8_t bias_shift;
} eng_step_int;

/* One step by summed gradients, with n = step->shift - exponent, 0 if that is negative:
 *   w[n][k] -= round(dw[n][k], n)  where dw is not 0,
 *   bias[n] -= round(dbias[n] * bias_mult, n + bias_shift)  where dbias is not 0; no step if n + bias_shift > 30.
 * If n > 16 the step is made with probability 2^(16 - n), as if n were 16: the same expectation (if n > 47, never).
 * Draws of rng: one if n > 16; then output by output 16 bits a weight, the lower half of a number first, the upper half for the
 * next weight, and one number for the bias. What does not move draws nothing.
 * |dw| <= rows * 127 * 255, |dbias| <= rows * 127 with rows <= 32767: the sums with r stay below 2^31. */
void eng_sgd_int(const eng_dense_int_params *p, const eng_step_int *step, int16_t exponent, eng_rng *rng, const int32_t *dw,
                 const int32_t *dbias, int16_t *w, int32_t *bias);

/* Random bits, 16 at a time: the lower half of a number, then the upper one. */
typedef struct {
    eng_rng *rng;
    uint16_t upper;
    bool half; /* upper is still to be spent */
} eng_bits_int;

/* The row of one output:  w[k] -= floor((error * (x[k] - zero_x) + r) / 2^16), r 16 bits, where x[k] is not zero_x.
 * error = h * 2^(16 - n), so that no shift is by a variable number of bits: |error| <= 127 * 2^16,
 * |error * (x - zero_x) + r| <= 127 * 2^16 * 255 + 65535 < 2^31. p->rows and p->out are not read. */
void eng_move_row_int(const eng_dense_int_params *p, int32_t error, const int8_t *x, eng_bits_int *bits, int16_t *w);

/* eng_dense_int_gradient of one row and eng_sgd_int in one, without memory for gradients: the same bits. p->rows is 1. */
void eng_dense_int_step(const eng_dense_int_params *p, const eng_step_int *step, int16_t exponent, eng_rng *rng,
                        const int8_t *x, const int8_t *h, int16_t *w, int32_t *bias);

typedef struct {
    size_t count;
    uint8_t mult; /* in [128, 255] */
} eng_errors_int_params;

/* h[i] = round(dy[i] * mult, t), one draw a value that is not 0, in order; what rounds to 128 becomes 127. Returns t, the
 * smallest for which the largest |dy * mult| < 2^(t + 7), at least 0. |dy| < 2^31; where the largest has more than 22 bits, the
 * bits beyond are cut off all dy first, and counted in t: |dy * mult| + r <= 2^22 * 255 + 2^23 < 2^31. */
int16_t eng_errors_int(const eng_errors_int_params *p, eng_rng *rng, const int32_t *dy, int8_t *h);

/* Output codes: y = requantized acc, as eng_dense_s8 (single) and eng_conv2d_s8 (double) do. */
typedef struct {
    size_t count;
    eng_rescale rescale;
    eng_output_s8 y;
} eng_codes_int_params;

void eng_codes_single_int(const eng_codes_int_params *p, const int32_t *acc, int8_t *y);
void eng_codes_double_int(const eng_codes_int_params *p, const int32_t *acc, int8_t *y);

/* Index of the largest of count >= 1 accumulators, the first of equals: the class that a network decides for. */
uint16_t eng_argmax_int(uint16_t count, const int32_t *acc);

/* dx = 0 where y is at an end of its range; elsewhere unchanged. */
typedef struct {
    size_t count;
    int8_t lo, hi;
} eng_relu_int_params;

void eng_relu_int_backward(const eng_relu_int_params *p, const int8_t *y, int32_t *dx);

/* rescale: from acc to 1/64 octaves, scale_x * scale_w * 64 / ln 2, at most 1. */
typedef struct {
    size_t rows;
    uint16_t classes; /* at most 32767 */
    eng_rescale rescale;
} eng_softmax_int_params;

/* Softmax with cross-entropy over accumulators:  z = rescaled acc, e[n] = 2^15 * 2^-((max z - z[n]) / 64) cut to an integer,
 * dy[n] = round_half_up(2^15 * e[n] / sum e) - (n == label) * 2^15, loss = log2(sum e / e[label]) in 1/64 octaves, cut.
 * label[i] < classes. sum e <= 32767 * 2^15 < 2^30, e * 2^15 + sum / 2 < 2^31; |dy| <= 2^15. dy may be null.
 * Relative error of an exponential: 1.1 % from z's grain, 2^-15 of the maximum from the cut. */
void eng_softmax_cross_entropy_int(const eng_softmax_int_params *p, const int32_t *acc, const uint16_t *label, uint32_t *loss,
                                   int32_t *dy);

typedef struct {
    size_t rows;
    uint16_t cols;
} eng_mse_int_params;

/* Squared error of output codes:  dy = (y - target) * 2^7, loss[i] = sum_j (y - target)^2 <= 65535 * 65025 < 2^32.
 * dy may be null. */
void eng_mse_int(const eng_mse_int_params *p, const int8_t *y, const int8_t *target, uint32_t *loss, int32_t *dy);

typedef struct {
    size_t batch;
    eng_window window;
    uint16_t channels;
    int8_t zero_x;
} eng_patches_int_params;

/* patches[batch][out_h][out_w][kernel_h][kernel_w][channels]: what a convolution's positions see; padding holds zero_x. */
void eng_patches_int(const eng_patches_int_params *p, const int8_t *x, int8_t *patches);

/* dx[pixel] = sum over the taps that read it of dpatches. |sum| <= kernel_h * kernel_w * max |dpatches|, which the caller has
 * proven below 2^31. */
void eng_patches_int_backward(const eng_patches_int_params *p, const int32_t *dpatches, int32_t *dx);

/* Max pool of codes; index[batch][out_h][out_w][channels] is the pixel (row * in_w + column) that a maximum came from, the
 * first of equals. zero_x is not read. */
void eng_max_pool2d_int(const eng_patches_int_params *p, const int8_t *x, int8_t *y, uint32_t *index);

/* dx[pixel] = sum of the dy whose maximum it was; |dx| <= kernel_h * kernel_w * max |dy| < 2^31 is the caller's proof. */
void eng_max_pool2d_int_backward(const eng_patches_int_params *p, const uint32_t *index, const int32_t *dy, int32_t *dx);

#ifdef __cplusplus
}
#endif

#endif
