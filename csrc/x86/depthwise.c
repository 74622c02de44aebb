/* SPDX-License-Identifier: Apache-2.0 */
#include "depthwise.h"

#include <string.h>

#include "image.h"
#include "products.h"

#define LARGEST_PACKED (UINT32_C(1) << 22)
#define BAND           16384 /* bytes of the mixed rows of some passes, roughly */
#define MIXED_BEYOND   8     /* vectors that mixing or a last vector's taps may touch behind a row */

/* Vectors after which a lane has the same channel again: lcm(channels, lanes) / lanes. */
static uint32_t period_of(uint32_t channels, uint32_t lanes)
{
    uint32_t a = channels, b = lanes;
    while (b != 0) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return channels / a;
}

static uint32_t step_codes(const eng_x86_format *format)
{
    return (uint32_t)(ENG_X86_STEP / format->code_bytes);
}

/* Codes of a row from its first pixel to the one at `column`. */
static size_t column_at(const eng_x86_depthwise *p, size_t column)
{
    return column % p->phases * (p->row / p->phases) + column / p->phases * p->pixel;
}

static void plan_passes(const eng_x86_format *format, const eng_conv2d_s8_params *conv, eng_x86_depthwise *p)
{
    const eng_window *v = &conv->window;
    const uint32_t step = step_codes(format), lanes = format->lanes;
    p->groups = (v->kernel_h + step - 1) / step;
    p->columns = v->kernel_w;
    p->together = v->dilation_h == 1 && (uint32_t)v->kernel_h + v->stride_h <= p->groups * step ? 2 : 1;
    p->taken = v->kernel_h + (p->together - 1) * v->stride_h;
    p->rows = v->out_h;
    p->row_codes = (uint32_t)v->out_w * conv->out_c;
    p->period = period_of(conv->out_c, lanes);
    p->row_step = v->stride_h;
    p->kernel_row = v->dilation_h;
    p->point = (size_t)p->period * lanes * (p->phases == 1 ? v->stride_w : 1) * ENG_X86_STEP;
    p->group = eng_x86_aligned((p->row + MIXED_BEYOND * lanes) * ENG_X86_STEP);
    p->pass = p->groups * p->group;
    const uint32_t fit = p->pass < BAND ? (uint32_t)(BAND / p->pass) : 1, whole = p->rows / p->together;
    p->band = fit < whole ? fit : whole > 0 ? whole : 1;
}

static void plan_offsets(const eng_x86_format *format, eng_x86_depthwise *p)
{
    const size_t vector = (size_t)format->lanes * ENG_X86_STEP;
    p->column = eng_x86_aligned(sizeof *p);
    p->lane = eng_x86_aligned(p->column + p->columns * sizeof(uint32_t));
    p->w = p->lane + 2 * eng_x86_lanes_size(format, p->period);
    p->size = p->w + (size_t)p->period * p->groups * p->columns * p->together * vector;
    p->copy = eng_x86_aligned(p->row);
    p->mixed = p->copy + (p->phases == 1 ? 0 : eng_x86_aligned(p->row * p->in_h));
    p->scratch = p->mixed + p->band * p->pass;
}

bool eng_x86_depthwise_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_depthwise *p)
{
    const eng_conv2d_s8_params *conv = l->params;
    const eng_window *v = &conv->window;
    eng_x86_image image;
    memset(p, 0, sizeof *p);
    if (conv->in_c != conv->out_c || !eng_x86_image_plan(format, conv, &image)) {
        return false;
    }
    p->y = conv->y;
    p->clamp = eng_x86_clamp_of(&p->y);
    p->in_h = v->in_h;
    p->in_w = v->in_w;
    p->pixel = conv->in_c;
    p->top = v->pad_top;
    p->left = v->pad_left;
    p->phases = conv->out_c % format->lanes == 0 ? 1 : v->stride_w;
    p->zero_x = conv->zero_x;
    p->padding = image.padding;
    p->row = (image.row / p->pixel + p->phases - 1) / p->phases * p->phases * p->pixel;
    plan_passes(format, conv, p);
    plan_offsets(format, p);
    return p->size <= LARGEST_PACKED;
}

/* One lane's weights; t: its channel's, at: its first step in the packed form. */
static void pack_steps(const eng_x86_format *format, const eng_x86_depthwise *p, const eng_x86_taps *t, uint32_t stride_h,
                       uint8_t *at)
{
    const uint32_t step = step_codes(format);
    const size_t vector = (size_t)format->lanes * ENG_X86_STEP;
    for (uint32_t together = 0; together < p->together; ++together) {
        for (uint32_t k = 0; k < t->count; ++k) {
            const uint32_t row = k / p->columns + together * stride_h, column = k % p->columns;
            const size_t index = ((size_t)(row / step) * p->columns + column) * p->together + together;
            uint8_t *const to = at + index * vector + row % step * format->code_bytes;
            const int8_t narrow = t->w[k * t->step];
            const int16_t wide = narrow;
            memcpy(to, format->code_bytes == 1 ? (const void *)&narrow : &wide, format->code_bytes);
        }
    }
}

void eng_x86_depthwise_pack(const eng_x86_format *format, const eng_layer *l, void *packed)
{
    const eng_conv2d_s8_params *conv = l->params;
    eng_x86_depthwise *p = packed;
    uint8_t *const base = packed;
    (void)eng_x86_depthwise_plan(format, l, p);
    memset(base + p->column, 0, p->size - p->column);
    const size_t vector = (size_t)format->lanes * ENG_X86_STEP;
    void *const columns = base + p->column, *const lanes = base + p->lane;
    for (uint32_t j = 0; j < p->columns; ++j) {
        const size_t at = column_at(p, (size_t)j * conv->window.dilation_w);
        ((uint32_t *)columns)[j] = (uint32_t)(at * ENG_X86_STEP);
    }
    const size_t set = (size_t)p->groups * p->columns * p->together * vector;
    const uint32_t count = p->period * format->lanes;
    eng_x86_lane_packer packer = eng_x86_begin_lanes(format, conv, false, p->period, lanes);
    for (uint32_t n = 0; n < count; ++n) {
        const uint32_t channel = n % conv->out_c;
        const eng_x86_taps t = {l->w + channel, (size_t)conv->window.kernel_h * p->columns, conv->out_c};
        if (n < conv->out_c) {
            eng_x86_add_lane(&packer, n, channel, &t, l->bias[channel]);
        } else {
            eng_x86_repeat_lane(&packer, n, channel);
        }
        uint8_t *const at = base + p->w + n / format->lanes * set + (size_t)(n % format->lanes) * ENG_X86_STEP;
        pack_steps(format, p, &t, conv->window.stride_h, at);
    }
    p->rounding = eng_x86_end_lanes(&packer, count);
}
