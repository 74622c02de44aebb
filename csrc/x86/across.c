/* SPDX-License-Identifier: Apache-2.0 */
#include "across.h"

#include <string.h>

#include "image.h"
#include "products.h"

#define LANES 16
#define STEP  4   /* codes */
#define REACH 128 /* codes that a permutation chooses from */
#define EIGHT 8   /* outputs that are summed together */

/* Multiplications of a vector that the other packed form takes for sixteen points. */
static uint64_t products_cost(const eng_x86_products *p, const eng_conv2d_s8_params *conv)
{
    const uint64_t full = (uint64_t)p->full * p->walk.segments * p->walk.run;
    const uint64_t halves = (uint64_t)(p->blocks - p->full) * p->halves.segments * p->halves.run;
    return (full + halves) * LANES * conv->out_c / p->out;
}

/* Steps, of one kernel row and in all. */
static void plan_steps(const eng_conv2d_s8_params *conv, eng_x86_across *p)
{
    const uint32_t length = (uint32_t)conv->window.kernel_w * conv->in_c;
    p->kernel_rows = conv->window.kernel_h;
    p->full = length / STEP;
    p->rest = length % STEP;
    p->shared = p->rest == 0 ? 0 : STEP / p->rest < p->kernel_rows ? STEP / p->rest : p->kernel_rows;
    p->steps = p->kernel_rows * p->full + (p->rest == 0 ? 0 : eng_x86_ceiling(p->kernel_rows, p->shared));
}

static void plan_offsets(const eng_x86_format *format, eng_x86_across *p)
{
    p->order = eng_x86_aligned(sizeof *p);
    p->kept = p->order + (size_t)(p->full + p->shared) * LANES * STEP;
    p->row = p->kept + p->shared * sizeof(uint64_t) + p->strips * sizeof(eng_x86_inside);
    p->inside = p->kept + p->shared * sizeof(uint64_t);
    p->padding = eng_x86_aligned(p->row + (size_t)p->rows * p->kernel_rows * sizeof(uint32_t));
    p->lane = p->padding + REACH;
    p->w = p->lane + 2 * eng_x86_lanes_size(format, p->out);
    p->size = eng_x86_aligned(p->w + (size_t)p->steps * p->out * STEP);
}

bool eng_x86_across_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_across *p)
{
    const eng_conv2d_s8_params *conv = l->params;
    const eng_window *v = &conv->window;
    eng_x86_products products;
    if (l->op != ENG_OP_CONV2D_S8 || format->lanes != LANES || format->code_bytes != 1 ||
        !eng_x86_products_plan(format, l, &products)) {
        return false;
    }
    const size_t point = (size_t)v->stride_w * conv->in_c, length = (size_t)v->kernel_w * conv->in_c;
    const bool outputs = conv->out_c == EIGHT || conv->out_c % (2 * EIGHT) == 0;
    if (!outputs || v->dilation_w != 1 || v->kernel_h > ENG_X86_ACROSS_ROWS || (LANES - 1) * point + length > REACH) {
        return false;
    }
    memset(p, 0, sizeof *p);
    plan_steps(conv, p);
    p->y = conv->y;
    p->clamp = eng_x86_clamp_of(&p->y);
    p->rows = v->out_h;
    p->out = conv->out_c;
    p->strips = eng_x86_ceiling(v->out_w, LANES);
    p->last = v->out_w - (p->strips - 1) * LANES;
    p->left = (size_t)v->pad_left * conv->in_c;
    p->strip = LANES * point;
    plan_offsets(format, p);
    return (uint64_t)p->steps * p->out * p->strips * LANES < products_cost(&products, conv) * v->out_w;
}

/* The position that a lane has, so that vec_eight_codes and what follows it leave them in order. */
static uint32_t position_of(const eng_x86_across *p, uint32_t lane)
{
    const uint32_t quarter = lane / 4, nth = lane % 4;
    return p->out == EIGHT ? nth / 2 * 8 + 2 * quarter + nth % 2 : 4 * nth + quarter;
}

/* `count` codes from `first` on of every position become bytes from `to` on of its step. */
static void pack_order(const eng_x86_across *p, uint32_t first, uint32_t count, uint32_t to, uint8_t *order)
{
    for (uint32_t lane = 0; lane < LANES; ++lane) {
        for (uint32_t i = 0; i < count; ++i) {
            order[lane * STEP + to + i] = (uint8_t)(position_of(p, lane) * (p->strip / LANES) + first + i);
        }
    }
}

static void pack_orders(const eng_x86_across *p, uint8_t *order, uint64_t *kept)
{
    for (uint32_t k = 0; k < p->full; ++k) {
        pack_order(p, k * STEP, STEP, 0, order + (size_t)k * LANES * STEP);
    }
    for (uint32_t j = 0; j < p->shared; ++j) {
        const uint64_t bytes = ((UINT64_C(1) << p->rest) - 1) << j * p->rest;
        pack_order(p, p->full * STEP, p->rest, j * p->rest, order + (size_t)(p->full + j) * LANES * STEP);
        kept[j] = bytes * UINT64_C(0x1111111111111111);
    }
}

static void pack_rows(const eng_conv2d_s8_params *conv, uint32_t *row)
{
    const eng_window *v = &conv->window;
    for (uint32_t r = 0; r < v->out_h; ++r) {
        for (uint32_t i = 0; i < v->kernel_h; ++i) {
            const uint32_t at = r * v->stride_h + i * v->dilation_h;
            const bool inside = at >= v->pad_top && at - v->pad_top < v->in_h;
            *row++ = inside ? (at - v->pad_top) * (uint32_t)v->in_w * conv->in_c : ENG_X86_OUTSIDE;
        }
    }
}

static void pack_inside(const eng_conv2d_s8_params *conv, const eng_x86_across *p, eng_x86_inside *inside)
{
    const size_t x_row = (size_t)conv->window.in_w * conv->in_c;
    for (uint32_t s = 0; s < p->strips; ++s) {
        uint64_t bits[2] = {0, 0};
        for (uint32_t i = 0; i < REACH; ++i) {
            const size_t at = s * p->strip + i;
            bits[i / 64] |= (uint64_t)(at >= p->left && at - p->left < x_row) << i % 64;
        }
        inside[s].low = bits[0];
        inside[s].high = bits[1];
    }
}

/* Of the output whose steps begin at `to`, EIGHT * STEP bytes apart. */
static void pack_weights(const eng_x86_across *p, const int8_t *w, int8_t *to)
{
    for (uint32_t r = 0, rests = 0; r < p->kernel_rows; ++r) {
        for (uint32_t k = 0; k < p->full; ++k) {
            memcpy(to, w, STEP);
            w += STEP;
            to += EIGHT * STEP;
        }
        /* The step of rests comes after the last row that shares it. */
        const uint32_t last = rests + p->shared < p->kernel_rows ? rests + p->shared - 1 : p->kernel_rows - 1;
        if (p->rest > 0) {
            memcpy(to + (size_t)(last - r) * p->full * EIGHT * STEP + (r - rests) * p->rest, w, p->rest);
            w += p->rest;
        }
        if (p->rest > 0 && r == last) {
            to += EIGHT * STEP;
            rests = r + 1;
        }
    }
}

void eng_x86_across_pack(const eng_x86_format *format, const eng_layer *l, void *packed)
{
    const eng_conv2d_s8_params *conv = l->params;
    eng_x86_across *p = packed;
    uint8_t *const base = packed;
    (void)eng_x86_across_plan(format, l, p);
    memset(base + p->order, 0, p->size - p->order);
    void *const kept = base + p->kept, *const inside = base + p->inside, *const row = base + p->row;
    void *const lanes = base + p->lane, *const w = base + p->w;
    pack_orders(p, base + p->order, kept);
    pack_rows(conv, row);
    pack_inside(conv, p, inside);
    memset(base + p->padding, conv->zero_x, REACH);
    const size_t taps = (size_t)p->kernel_rows * (p->full * STEP + p->rest);
    eng_x86_lane_packer packer = eng_x86_begin_lanes(format, conv, false, p->out, lanes);
    for (uint32_t n = 0; n < p->out; ++n) {
        const eng_x86_taps t = {l->w + n * taps, taps, 1};
        eng_x86_add_lane(&packer, n * LANES, n, &t, l->bias[n]);
        for (uint32_t i = 1; i < LANES; ++i) {
            eng_x86_repeat_lane(&packer, n * LANES + i, n * LANES);
        }
        int8_t *const to = (int8_t *)w + ((size_t)(n / EIGHT) * p->steps * EIGHT + n % EIGHT) * STEP;
        pack_weights(p, l->w + n * taps, to);
    }
    p->rounding = eng_x86_end_lanes(&packer, p->out * LANES);
}
