/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/layer_f32.h"

#include <math.h>

enum { BLOCK = 256 };

/* Sum over rows of a[i] * b[i], or of a[i] if b is null; a and b [rows][channels] from one channel on. */
static float sum_channel(const eng_batch_norm_f32_params *p, const float *a, const float *b)
{
    float total = 0.0f;
    for (size_t first = 0; first < p->rows; first += BLOCK) {
        const size_t end = p->rows - first < BLOCK ? p->rows : first + BLOCK;
        float sum = 0.0f;
        for (size_t i = first; i < end; ++i) {
            sum += b ? a[i * p->channels] * b[i * p->channels] : a[i * p->channels];
        }
        total += sum;
    }
    return total;
}

/* x minus its mean goes to xhat; then that divided by the deviation. Returns the mean; the variance through *variance. */
static float normalize(const eng_batch_norm_f32_params *p, const float *x, float *xhat, float *variance)
{
    const float rows = (float)p->rows;
    const float mean = sum_channel(p, x, 0) / rows;
    for (size_t i = 0; i < p->rows; ++i) {
        xhat[i * p->channels] = x[i * p->channels] - mean;
    }
    *variance = sum_channel(p, xhat, xhat) / rows;
    const float inverse = 1.0f / sqrtf(*variance + p->epsilon);
    for (size_t i = 0; i < p->rows; ++i) {
        xhat[i * p->channels] *= inverse;
    }
    return mean;
}

void eng_batch_norm_f32_train(const eng_batch_norm_f32_params *p, const float *x, const float *gamma, const float *beta,
                              float *running_mean, float *running_variance, float *xhat, float *inverse, float *y)
{
    const float gain = 1.0f - p->momentum;
    for (uint16_t c = 0; c < p->channels; ++c) {
        float variance;
        const float mean = normalize(p, x + c, xhat + c, &variance);
        inverse[c] = 1.0f / sqrtf(variance + p->epsilon);
        running_mean[c] += (mean - running_mean[c]) * gain;
        running_variance[c] += (variance - running_variance[c]) * gain;
    }
    for (size_t i = 0; i < p->rows; ++i) {
        for (uint16_t c = 0; c < p->channels; ++c) {
            *y++ = gamma[c] * *xhat++ + beta[c];
        }
    }
}

void eng_batch_norm_f32(const eng_batch_norm_f32_params *p, const float *x, const float *gamma, const float *beta,
                        const float *mean, const float *variance, float *y)
{
    for (size_t i = 0; i < p->rows; ++i) {
        for (uint16_t c = 0; c < p->channels; ++c) {
            *y++ = gamma[c] * ((*x++ - mean[c]) / sqrtf(variance[c] + p->epsilon)) + beta[c];
        }
    }
}

void eng_batch_norm_f32_backward(const eng_batch_norm_f32_params *p, const float *xhat, const float *inverse,
                                 const float *gamma, const float *dy, float *dgamma, float *dbeta, float *dx, float *scratch)
{
    const float rows = (float)p->rows;
    float *mean_dy = scratch;
    float *mean_product = scratch + p->channels;
    for (uint16_t c = 0; c < p->channels; ++c) {
        const float sum = sum_channel(p, dy + c, 0);
        const float product = sum_channel(p, dy + c, xhat + c);
        dbeta[c] += sum;
        dgamma[c] += product;
        mean_dy[c] = sum / rows;
        mean_product[c] = product / rows;
    }
    for (size_t i = 0; dx && i < p->rows; ++i) {
        for (uint16_t c = 0; c < p->channels; ++c) {
            *dx++ = gamma[c] * inverse[c] * (*dy++ - mean_dy[c] - *xhat++ * mean_product[c]);
        }
    }
}
