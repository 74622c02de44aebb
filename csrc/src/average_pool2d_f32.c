/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

#include "taps_f32.h"

#include <string.h>

static float reciprocal(const eng_taps *rows, const eng_taps *columns)
{
    return 1.0f / ((float)eng_taps_count(rows) * (float)eng_taps_count(columns));
}

static void add_scaled(uint16_t channels, float scale, const float *restrict x, float *restrict y)
{
    for (uint16_t c = 0; c < channels; ++c) {
        y[c] += scale * x[c];
    }
}

static void position(const eng_pool2d_f32_params *p, const eng_taps *rows, const eng_taps *columns, const float *x, float *y)
{
    const float scale = reciprocal(rows, columns);
    memset(y, 0, p->channels * sizeof *y);
    for (uint32_t row = rows->first; row < rows->end; row += rows->step) {
        for (uint32_t column = columns->first; column < columns->end; column += columns->step) {
            add_scaled(p->channels, 1.0f, x + ((size_t)row * p->window.in_w + column) * p->channels, y);
        }
    }
    for (uint16_t c = 0; c < p->channels; ++c) {
        y[c] *= scale;
    }
}

void eng_average_pool2d_f32(const eng_pool2d_f32_params *p, const float *x, float *y)
{
    const eng_window *win = &p->window;
    for (size_t b = 0; b < p->batch; ++b) {
        for (uint16_t r = 0; r < win->out_h; ++r) {
            const eng_taps rows = eng_taps_rows(win, r);
            for (uint16_t q = 0; q < win->out_w; ++q) {
                const eng_taps columns = eng_taps_columns(win, q);
                position(p, &rows, &columns, x, y);
                y += p->channels;
            }
        }
        x += (size_t)win->in_h * win->in_w * p->channels;
    }
}

static void position_backward(const eng_pool2d_f32_params *p, const eng_taps *rows, const eng_taps *columns, const float *dy,
                              float *dx)
{
    const float scale = reciprocal(rows, columns);
    for (uint32_t row = rows->first; row < rows->end; row += rows->step) {
        for (uint32_t column = columns->first; column < columns->end; column += columns->step) {
            add_scaled(p->channels, scale, dy, dx + ((size_t)row * p->window.in_w + column) * p->channels);
        }
    }
}

void eng_average_pool2d_f32_backward(const eng_pool2d_f32_params *p, const float *dy, float *dx)
{
    const eng_window *win = &p->window;
    const size_t image = (size_t)win->in_h * win->in_w * p->channels;
    memset(dx, 0, p->batch * image * sizeof *dx);
    for (size_t b = 0; b < p->batch; ++b) {
        for (uint16_t r = 0; r < win->out_h; ++r) {
            const eng_taps rows = eng_taps_rows(win, r);
            for (uint16_t q = 0; q < win->out_w; ++q) {
                const eng_taps columns = eng_taps_columns(win, q);
                position_backward(p, &rows, &columns, dy, dx);
                dy += p->channels;
            }
        }
        dx += image;
    }
}
