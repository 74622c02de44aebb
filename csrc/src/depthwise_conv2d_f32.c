/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/layer_f32.h"

#include "arithmetic_f32.h"
#include "taps_f32.h"

#include <stdbool.h>
#include <string.h>

static uint16_t depthwise_channels(const eng_depthwise_conv2d_f32_params *p)
{
    return (uint16_t)((uint32_t)p->in_c * p->multiplier);
}

/* Tap (i, j) at position (r, q). */
typedef struct {
    uint16_t r, q, i, j;
} place;

/* Offset in elements of the pixel that a tap reads; false if it is padding. */
static bool pixel(const eng_depthwise_conv2d_f32_params *p, const place *at, size_t *offset)
{
    const eng_window *win = &p->window;
    const int32_t row = eng_tap_source(at->r, win->stride_h, at->i, win->dilation_h, win->pad_top);
    const int32_t column = eng_tap_source(at->q, win->stride_w, at->j, win->dilation_w, win->pad_left);
    if (row < 0 || row >= (int32_t)win->in_h || column < 0 || column >= (int32_t)win->in_w) {
        return false;
    }
    *offset = ((size_t)row * win->in_w + (size_t)column) * p->in_c;
    return true;
}

static void tap(const eng_depthwise_conv2d_f32_params *p, const float *x, const float *w, float *y)
{
    for (uint16_t c = 0; c < p->in_c; ++c) {
        for (uint16_t m = 0; m < p->multiplier; ++m) {
            *y = ENG_MULTIPLY_ADD(*y, *w, x[c]);
            ++y;
            ++w;
        }
    }
}

/* All taps of position (at->r, at->q): y [out_c] already holds the bias. */
static void position(const eng_depthwise_conv2d_f32_params *p, place at, const float *x, const float *w, float *y)
{
    for (at.i = 0; at.i < p->window.kernel_h; ++at.i) {
        for (at.j = 0; at.j < p->window.kernel_w; ++at.j) {
            size_t offset;
            if (pixel(p, &at, &offset)) {
                tap(p, x + offset, w, y);
            }
            w += depthwise_channels(p);
        }
    }
}

void eng_depthwise_conv2d_f32(const eng_depthwise_conv2d_f32_params *p, const float *x, const float *w, const float *bias,
                              float *y)
{
    const size_t out_c = depthwise_channels(p);
    for (size_t b = 0; b < p->batch; ++b) {
        for (uint16_t r = 0; r < p->window.out_h; ++r) {
            for (uint16_t q = 0; q < p->window.out_w; ++q) {
                const place at = {.r = r, .q = q, .i = 0, .j = 0};
                memcpy(y, bias, out_c * sizeof *y);
                position(p, at, x, w, y);
                y += out_c;
            }
        }
        x += (size_t)p->window.in_h * p->window.in_w * p->in_c;
    }
}

/* What one tap gives to dw, and dx unless that is null. */
typedef struct {
    const float *x, *w, *dy;
    float *dw, *dx;
} gradients;

static void tap_backward(const eng_depthwise_conv2d_f32_params *p, gradients g)
{
    for (uint16_t c = 0; c < p->in_c; ++c) {
        float sum = 0.0f;
        for (uint16_t m = 0; m < p->multiplier; ++m) {
            *g.dw = ENG_MULTIPLY_ADD(*g.dw, *g.dy, g.x[c]);
            sum = ENG_MULTIPLY_ADD(sum, *g.dy, *g.w);
            ++g.dw;
            ++g.dy;
            ++g.w;
        }
        if (g.dx) {
            g.dx[c] = ENG_ADD(g.dx[c], sum);
        }
    }
}

static void position_backward(const eng_depthwise_conv2d_f32_params *p, place at, gradients g)
{
    for (at.i = 0; at.i < p->window.kernel_h; ++at.i) {
        for (at.j = 0; at.j < p->window.kernel_w; ++at.j) {
            size_t offset;
            if (pixel(p, &at, &offset)) {
                const gradients here = {.x = g.x + offset, .w = g.w, .dy = g.dy, .dw = g.dw, .dx = g.dx ? g.dx + offset : g.dx};
                tap_backward(p, here);
            }
            g.w += depthwise_channels(p);
            g.dw += depthwise_channels(p);
        }
    }
}

void eng_depthwise_conv2d_f32_backward(const eng_depthwise_conv2d_f32_params *p, const float *x, const float *w,
                                       const float *dy, float *dw, float *dbias, float *dx)
{
    const size_t image = (size_t)p->window.in_h * p->window.in_w * p->in_c;
    const eng_matrix_size positions = {.rows = p->batch * p->window.out_h * p->window.out_w, .cols = depthwise_channels(p)};
    gradients g = {.x = x, .w = w, .dy = dy, .dw = dw, .dx = dx};
    eng_sum_rows_f32(&positions, dy, dbias);
    if (dx) {
        memset(dx, 0, p->batch * image * sizeof *dx);
    }
    for (size_t b = 0; b < p->batch; ++b) {
        for (uint16_t r = 0; r < p->window.out_h; ++r) {
            for (uint16_t q = 0; q < p->window.out_w; ++q) {
                const place at = {.r = r, .q = q, .i = 0, .j = 0};
                position_backward(p, at, g);
                g.dy += depthwise_channels(p);
            }
        }
        g.x += image;
        g.dx = g.dx ? g.dx + image : g.dx;
    }
}
