/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_int.h"

#include <stdbool.h>
#include <string.h>

/* Pixels of a tap, below 0 or beyond the image in the padding. */
typedef struct {
    int32_t row, column;
} pixel;

static pixel pixel_of(const eng_window *w, uint16_t r, uint16_t q, uint16_t i, uint16_t j)
{
    const pixel at = {
        (int32_t)((uint32_t)r * w->stride_h + (uint32_t)i * w->dilation_h) - (int32_t)w->pad_top,
        (int32_t)((uint32_t)q * w->stride_w + (uint32_t)j * w->dilation_w) - (int32_t)w->pad_left,
    };
    return at;
}

static bool inside(const eng_window *w, pixel at)
{
    return at.row >= 0 && at.row < w->in_h && at.column >= 0 && at.column < w->in_w;
}

static size_t index_of(const eng_window *w, pixel at)
{
    return (size_t)at.row * w->in_w + (size_t)at.column;
}

static size_t image_size(const eng_patches_int_params *p)
{
    return (size_t)p->window.in_h * p->window.in_w * p->channels;
}

static void patch(const eng_patches_int_params *p, uint16_t r, uint16_t q, const int8_t *x, int8_t *y)
{
    const eng_window *w = &p->window;
    for (uint16_t i = 0; i < w->kernel_h; ++i) {
        for (uint16_t j = 0; j < w->kernel_w; ++j) {
            const pixel at = pixel_of(w, r, q, i, j);
            if (inside(w, at)) {
                memcpy(y, x + index_of(w, at) * p->channels, p->channels);
            } else {
                memset(y, p->zero_x, p->channels);
            }
            y += p->channels;
        }
    }
}

void eng_patches_int(const eng_patches_int_params *p, const int8_t *x, int8_t *patches)
{
    const eng_window *w = &p->window;
    const size_t size = (size_t)w->kernel_h * w->kernel_w * p->channels;
    for (size_t b = 0; b < p->batch; ++b) {
        for (uint16_t r = 0; r < w->out_h; ++r) {
            for (uint16_t q = 0; q < w->out_w; ++q) {
                patch(p, r, q, x, patches);
                patches += size;
            }
        }
        x += image_size(p);
    }
}

static void scatter(const eng_patches_int_params *p, uint16_t r, uint16_t q, const int32_t *dy, int32_t *dx)
{
    const eng_window *w = &p->window;
    for (uint16_t i = 0; i < w->kernel_h; ++i) {
        for (uint16_t j = 0; j < w->kernel_w; ++j) {
            const pixel at = pixel_of(w, r, q, i, j);
            for (uint16_t c = 0; inside(w, at) && c < p->channels; ++c) {
                dx[index_of(w, at) * p->channels + c] += dy[c];
            }
            dy += p->channels;
        }
    }
}

void eng_patches_int_backward(const eng_patches_int_params *p, const int32_t *dpatches, int32_t *dx)
{
    const eng_window *w = &p->window;
    const size_t size = (size_t)w->kernel_h * w->kernel_w * p->channels;
    memset(dx, 0, p->batch * image_size(p) * sizeof *dx);
    for (size_t b = 0; b < p->batch; ++b) {
        for (uint16_t r = 0; r < w->out_h; ++r) {
            for (uint16_t q = 0; q < w->out_w; ++q) {
                scatter(p, r, q, dpatches, dx);
                dpatches += size;
            }
        }
        dx += image_size(p);
    }
}

static void largest(const eng_patches_int_params *p, uint16_t r, uint16_t q, const int8_t *x, int8_t *y, uint32_t *index)
{
    const eng_window *w = &p->window;
    for (uint16_t c = 0; c < p->channels; ++c) {
        int16_t best = INT8_MIN - 1;
        for (uint16_t i = 0; i < w->kernel_h; ++i) {
            for (uint16_t j = 0; j < w->kernel_w; ++j) {
                const pixel at = pixel_of(w, r, q, i, j);
                if (inside(w, at) && x[index_of(w, at) * p->channels + c] > best) {
                    best = x[index_of(w, at) * p->channels + c];
                    index[c] = (uint32_t)index_of(w, at);
                }
            }
        }
        y[c] = (int8_t)best;
    }
}

void eng_max_pool2d_int(const eng_patches_int_params *p, const int8_t *x, int8_t *y, uint32_t *index)
{
    const eng_window *w = &p->window;
    for (size_t b = 0; b < p->batch; ++b) {
        for (uint16_t r = 0; r < w->out_h; ++r) {
            for (uint16_t q = 0; q < w->out_w; ++q) {
                largest(p, r, q, x, y, index);
                y += p->channels;
                index += p->channels;
            }
        }
        x += image_size(p);
    }
}

void eng_max_pool2d_int_backward(const eng_patches_int_params *p, const uint32_t *index, const int32_t *dy, int32_t *dx)
{
    const size_t positions = (size_t)p->window.out_h * p->window.out_w;
    memset(dx, 0, p->batch * image_size(p) * sizeof *dx);
    for (size_t b = 0; b < p->batch; ++b) {
        for (size_t i = 0; i < positions; ++i) {
            for (uint16_t c = 0; c < p->channels; ++c) {
                dx[(size_t)*index++ * p->channels + c] += *dy++;
            }
        }
        dx += image_size(p);
    }
}
