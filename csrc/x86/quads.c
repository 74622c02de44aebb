/* SPDX-License-Identifier: Apache-2.0 */
#include "quads.h"

#include <string.h>

#include "image.h"

#define LANES   16
#define QUAD    4  /* points, outputs and codes of a step */
#define OUTPUTS 16 /* that are summed together */
#define MOST    64 /* outputs: with more, multiplications take longer than the rest */
#define LEAST   8  /* points */

/* Every pixel, or every other one of sixteen codes where groups of eight are never cut by a row's end. */
static bool is_suited(const eng_x86_format *format, const eng_conv2d_s8_params *conv)
{
    const eng_window *v = &conv->window;
    const bool pixels = v->kernel_h == 1 && v->kernel_w == 1 && v->pad_top == 0 && v->pad_left == 0;
    const bool flat = v->stride_h == 1 && v->stride_w == 1 && v->in_h == v->out_h && v->in_w == v->out_w &&
                      (conv->in_c == 8 || conv->in_c == 16);
    const bool halved = v->stride_h == 2 && v->stride_w == 2 && v->in_w == 2 * v->out_w && v->out_w % QUAD == 0 &&
                        2 * v->out_h <= v->in_h + 1 && conv->in_c == 16;
    const bool outputs = conv->out_c % OUTPUTS == 0 && conv->out_c <= MOST;
    return format->lanes == LANES && format->code_bytes == 1 && pixels && (flat || halved) && outputs &&
           (uint32_t)v->out_h * v->out_w >= LEAST;
}

bool eng_x86_quads_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_quads *p)
{
    const eng_conv2d_s8_params *conv = l->params;
    if (l->op != ENG_OP_CONV2D_S8 || !is_suited(format, conv)) {
        return false;
    }
    memset(p, 0, sizeof *p);
    p->y = conv->y;
    p->clamp = eng_x86_clamp_of(&p->y);
    p->stride = conv->window.stride_w;
    p->rows = p->stride == 1 ? 1 : conv->window.out_h;
    p->points = (uint32_t)conv->window.out_h * conv->window.out_w / p->rows;
    p->x_row = (size_t)p->stride * conv->window.in_w * conv->in_c;
    p->in = conv->in_c;
    p->out = conv->out_c;
    p->lane = eng_x86_aligned(sizeof *p);
    p->w = p->lane + 2 * eng_x86_lanes_size(format, p->out / QUAD);
    p->size = p->w + (size_t)p->in * p->out * QUAD;
    return true;
}

/* An output's weights, in all quarters. */
static void pack_weights(const eng_x86_quads *p, uint32_t n, const int8_t *w, int8_t *to)
{
    const uint32_t steps = p->in / QUAD, group = n / OUTPUTS, quad = n % OUTPUTS / QUAD;
    for (uint32_t s = 0; s < steps; ++s) {
        int8_t *const vector = to + (((size_t)group * steps + s) * OUTPUTS / QUAD + quad) * LANES * QUAD;
        for (uint32_t quarter = 0; quarter < LANES / QUAD; ++quarter) {
            memcpy(vector + (quarter * QUAD + n % QUAD) * QUAD, w + (size_t)s * QUAD, QUAD);
        }
    }
}

void eng_x86_quads_pack(const eng_x86_format *format, const eng_layer *l, void *packed)
{
    const eng_conv2d_s8_params *conv = l->params;
    eng_x86_quads *p = packed;
    uint8_t *const base = packed;
    (void)eng_x86_quads_plan(format, l, p);
    memset(base + p->lane, 0, p->size - p->lane);
    void *const lanes = base + p->lane, *const weights = base + p->w;
    eng_x86_lane_packer packer = eng_x86_begin_lanes(format, conv, false, p->out / QUAD, lanes);
    for (uint32_t n = 0; n < p->out; ++n) {
        const eng_x86_taps t = {l->w + (size_t)n * p->in, p->in, 1};
        const uint32_t lane = n / QUAD * LANES + n % QUAD;
        eng_x86_add_lane(&packer, lane, n, &t, l->bias[n]);
        for (uint32_t quarter = 1; quarter < LANES / QUAD; ++quarter) {
            eng_x86_repeat_lane(&packer, lane + quarter * QUAD, lane);
        }
        pack_weights(p, n, t.w, weights);
    }
    p->rounding = eng_x86_end_lanes(&packer, p->out / QUAD * LANES);
}
