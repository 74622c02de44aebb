/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

#include "taps_f32.h"

#include <string.h>

/* y and index become the values and places of pixel where it is larger (or NaN). Selects, so that it vectorizes. */
static void take_larger(uint16_t channels, uint32_t pixel, const float *restrict x, float *restrict y, uint32_t *restrict index)
{
    for (uint16_t c = 0; c < channels; ++c) {
        const float v = x[c];
        const float best = y[c];
        const int take = (v > best) | ((v != v) & (best == best));
        y[c] = take ? v : best;
        index[c] = take ? pixel : index[c];
    }
}

static void position(const eng_pool2d_f32_params *p, const eng_taps *rows, const eng_taps *columns, const float *x, float *y,
                     uint32_t *index)
{
    const uint32_t width = p->window.in_w;
    const uint32_t first = rows->first * width + columns->first;
    for (uint16_t c = 0; c < p->channels; ++c) {
        y[c] = x[(size_t)first * p->channels + c];
        index[c] = first;
    }
    for (uint32_t row = rows->first; row < rows->end; row += rows->step) {
        for (uint32_t column = columns->first; column < columns->end; column += columns->step) {
            const uint32_t pixel = row * width + column;
            take_larger(p->channels, pixel, x + (size_t)pixel * p->channels, y, index);
        }
    }
}

void eng_max_pool2d_f32(const eng_pool2d_f32_params *p, const float *x, float *y, uint32_t *index)
{
    const eng_window *win = &p->window;
    for (size_t b = 0; b < p->batch; ++b) {
        for (uint16_t r = 0; r < win->out_h; ++r) {
            const eng_taps rows = eng_taps_rows(win, r);
            for (uint16_t q = 0; q < win->out_w; ++q) {
                const eng_taps columns = eng_taps_columns(win, q);
                position(p, &rows, &columns, x, y, index);
                y += p->channels;
                index += p->channels;
            }
        }
        x += (size_t)win->in_h * win->in_w * p->channels;
    }
}

void eng_max_pool2d_f32_backward(const eng_pool2d_f32_params *p, const uint32_t *index, const float *dy, float *dx)
{
    const size_t positions = (size_t)p->window.out_h * p->window.out_w;
    const size_t image = (size_t)p->window.in_h * p->window.in_w * p->channels;
    for (size_t b = 0; b < p->batch; ++b) {
        memset(dx, 0, image * sizeof *dx);
        for (size_t i = 0; i < positions; ++i) {
            for (uint16_t c = 0; c < p->channels; ++c) {
                dx[(size_t)index[c] * p->channels + c] += dy[c];
            }
            index += p->channels;
            dy += p->channels;
        }
        dx += image;
    }
}
