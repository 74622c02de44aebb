/* SPDX-License-Identifier: Apache-2.0 */
#include "conv2d_max_pool2d_f32.h"

size_t eng_conv2d_max_pool2d_f32_scratch(const eng_pooled_params *p)
{
    const size_t taps = eng_pooled_taps(p);
    return (taps * p->out_c + eng_pooled_sums(p) + eng_pooled_padded(p)) * sizeof(float);
}

size_t eng_conv2d_max_pool2d_f32_backward_scratch(const eng_pooled_params *p)
{
    const size_t w = eng_pooled_taps(p) * p->out_c;
    return eng_groups_scratch(p->batch, w, p->out_c) + (p->out_c + 2 * eng_pooled_padded(p)) * sizeof(float);
}

void eng_conv2d_max_pool2d_f32(const eng_pooled_params *p, const float *x, const float *w, const float *bias, float *y,
                               uint8_t *winner, float *scratch)
{
    const eng_matrix_size w_size = {.rows = p->out_c, .cols = eng_pooled_taps(p)};
    const size_t pooled = eng_pooled_positions(p) * p->out_c;
    float *const sums = scratch + w_size.rows * w_size.cols;
    float *const padded = sums + eng_pooled_sums(p);
    eng_transpose_f32(&w_size, w, scratch);
    for (size_t b = 0; b < p->batch; ++b) {
        const eng_pooled_image image = eng_pooled_read(p, x, padded);
        eng_pooled_forward(p, &image, scratch, bias, sums, y, winner);
        x += eng_pooled_image_size(p);
        y += pooled;
        winner += pooled;
    }
}

/* dy where the activation is open, else 0, of one position. */
static void open_gradient(const eng_pooled_params *p, const float *y, const float *dy, float *g)
{
    const eng_relu_f32_params relu = {.count = p->out_c, .limit = p->limit};
    eng_relu_f32_backward(&relu, y, dy, g);
}

/* dx += g * w[n] at the taps that the winner of channel n has read. */
static void add_inputs(const eng_pooled_params *p, const eng_pooled_image *dx, const float *g, const float *w,
                       const uint8_t *winner)
{
    const size_t row = (size_t)p->window.kernel_w * p->in_c;
    for (uint16_t n = 0; n < p->out_c; ++n) {
        float *at = dx->write + eng_pooled_offset(p, dx, winner[n]);
        for (uint16_t i = 0; i < p->window.kernel_h; ++i) {
            eng_pooled_add_row(p, g[n], w, at);
            at += p->window.dilation_h * dx->row;
            w += row;
        }
    }
}

/* Gradient of one sample's input. */
static void backward_inputs(const eng_pooled_params *p, const float *w, const float *y, const uint8_t *winner, const float *dy,
                            float *dx, float *scratch)
{
    float *const g = scratch;
    eng_pooled_image image = eng_pooled_write(p, dx, scratch + p->out_c);
    float *const start = image.write;
    for (uint16_t r = 0; r < p->window.out_h / p->pool_h; ++r) {
        for (uint16_t q = 0; q < p->window.out_w / p->pool_w; ++q) {
            open_gradient(p, y, dy, g);
            image.write = start + eng_pooled_corner(p, &image, r, q);
            add_inputs(p, &image, g, w, winner);
            y += p->out_c;
            dy += p->out_c;
            winner += p->out_c;
        }
    }
    image.write = start;
    eng_pooled_copy_back(p, &image, dx);
}

void eng_conv2d_max_pool2d_f32_backward(const eng_pooled_params *p, const float *x, const float *w, const float *y,
                                        const uint8_t *winner, const float *dy, float *dw, float *dbias, float *dx,
                                        float *scratch)
{
    const size_t pooled = eng_pooled_positions(p) * p->out_c;
    const eng_gradients_f32 all = {.dw = dw, .dbias = dbias, .count = eng_pooled_taps(p) * p->out_c, .outputs = p->out_c};
    float *const rest = scratch + eng_groups_scratch(p->batch, all.count, all.outputs) / sizeof *scratch;
    eng_gradients_f32 group = all;
    for (size_t b = 0; b < p->batch; ++b) {
        if (b % ENG_GROUP_F32 == 0) {
            group = eng_group_begin(&all, b, scratch);
        }
        const eng_pooled_image image = eng_pooled_read(p, x, rest + p->out_c);
        eng_pooled_backward(p, &image, y, winner, dy, &group, rest);
        if (dx) {
            backward_inputs(p, w, y, winner, dy, dx, rest);
            dx += eng_pooled_image_size(p);
        }
        if (b % ENG_GROUP_F32 == ENG_GROUP_F32 - 1 || b + 1 == p->batch) {
            eng_group_end(&all, &group);
        }
        x += eng_pooled_image_size(p);
        y += pooled;
        dy += pooled;
        winner += pooled;
    }
}

/* Gradients of the weights from one position of the pool, whose first tap reads x. */
static void weights_at(const eng_pooled_params *p, const eng_pooled_image *image, const float *x, const float *g,
                       const uint8_t *winner, const eng_gradients_f32 *group)
{
    const size_t row = p->window.dilation_h * image->row;
    float *dw = group->dw;
    for (uint16_t n = 0; n < p->out_c; ++n) {
        const float *at = x + eng_pooled_offset(p, image, winner[n]);
        group->dbias[n] += g[n];
        for (uint16_t i = 0; i < p->window.kernel_h; ++i) {
            for (uint16_t j = 0; j < p->window.kernel_w; ++j) {
                const float *const pixel = at + (size_t)j * p->window.dilation_w * p->in_c;
                for (uint16_t c = 0; c < p->in_c; ++c) {
                    *dw++ += g[n] * pixel[c];
                }
            }
            at += row;
        }
    }
}

static void backward_any(const eng_pooled_params *p, const eng_pooled_image *image, const float *y, const uint8_t *winner,
                         const float *dy, const eng_gradients_f32 *group, float *g)
{
    for (uint16_t r = 0; r < p->window.out_h / p->pool_h; ++r) {
        for (uint16_t q = 0; q < p->window.out_w / p->pool_w; ++q) {
            open_gradient(p, y, dy, g);
            weights_at(p, image, image->x + eng_pooled_corner(p, image, r, q), g, winner, group);
            y += p->out_c;
            dy += p->out_c;
            winner += p->out_c;
        }
    }
}

/* Convolution at the positions of one row that are pooled: sum [positions][out_c]. x is what the first tap reads; each row of
 * the kernel adds one product of matrices, whose left one is the image itself. */
static void convolve_row(const eng_pooled_params *p, const eng_pooled_image *image, const float *x, const float *w,
                         const float *bias, float *sum)
{
    const eng_window *win = &p->window;
    const int dense = win->dilation_w == 1;
    const eng_matrix_size size = {.rows = eng_pooled_columns(p), .cols = p->out_c};
    const eng_matmul_f32_params product = {
        .rows = size.rows,
        .cols = p->out_c,
        .steps = dense ? (size_t)win->kernel_w * p->in_c : p->in_c,
        .a_row = (size_t)win->stride_w * p->in_c,
        .a_step = 1,
        .b_step = p->out_c,
        .c_row = p->out_c,
    };
    eng_broadcast_f32(&size, bias, sum);
    for (uint16_t i = 0; i < win->kernel_h; ++i) {
        const float *tap = x;
        for (uint16_t j = 0; j < (dense ? 1 : win->kernel_w); ++j) {
            eng_matmul_f32(&product, tap, w, sum);
            tap += (size_t)win->dilation_w * p->in_c;
            w += product.steps * p->out_c;
        }
        x += win->dilation_h * image->row;
    }
}

/* Keeps the larger, the first of equals and the first NaN. */
static void take_winner(uint16_t channels, uint8_t k, const float *sum, float *restrict y, uint8_t *restrict winner)
{
    for (uint16_t n = 0; n < channels; ++n) {
        const float v = sum[n];
        const float best = y[n];
        const int take = (v > best) | ((v != v) & (best == best));
        y[n] = take ? v : best;
        winner[n] = take ? k : winner[n];
    }
}

/* One row of the pool from its rows of sums. */
static void pool_row(const eng_pooled_params *p, const float *sums, float *y, uint8_t *winner)
{
    const eng_relu_f32_params relu = {.count = p->out_c, .limit = p->limit};
    const size_t row = eng_pooled_columns(p) * p->out_c;
    for (uint16_t q = 0; q < p->window.out_w / p->pool_w; ++q) {
        memcpy(y, sums, p->out_c * sizeof *y);
        memset(winner, 0, p->out_c);
        uint8_t k = 0;
        for (uint16_t i = 0; i < p->pool_h; ++i) {
            for (uint16_t j = 0; j < p->pool_w; ++j) {
                take_winner(p->out_c, k++, sums + i * row + (size_t)j * p->out_c, y, winner);
            }
        }
        eng_relu_f32(&relu, y, y);
        sums += (size_t)p->pool_w * p->out_c;
        y += p->out_c;
        winner += p->out_c;
    }
}

static void forward_any(const eng_pooled_params *p, const eng_pooled_image *image, const float *w, const float *bias,
                        float *sums, float *y, uint8_t *winner)
{
    const size_t row = eng_pooled_columns(p) * p->out_c;
    const size_t pooled = (size_t)(p->window.out_w / p->pool_w) * p->out_c;
    for (uint16_t r = 0; r < p->window.out_h / p->pool_h; ++r) {
        const float *x = image->x + eng_pooled_corner(p, image, r, 0);
        for (uint16_t i = 0; i < p->pool_h; ++i) {
            convolve_row(p, image, x, w, bias, sums + i * row);
            x += p->window.stride_h * image->row;
        }
        pool_row(p, sums, y, winner);
        y += pooled;
        winner += pooled;
    }
}

#ifndef ENG_POOLED_TWIN

static void eng_pooled_forward(const eng_pooled_params *p, const eng_pooled_image *image, const float *w, const float *bias,
                               float *sums, float *y, uint8_t *winner)
{
    forward_any(p, image, w, bias, sums, y, winner);
}

static void eng_pooled_backward(const eng_pooled_params *p, const eng_pooled_image *image, const float *y,
                                const uint8_t *winner, const float *dy, const eng_gradients_f32 *group, float *g)
{
    backward_any(p, image, y, winner, dy, group, g);
}

#endif
