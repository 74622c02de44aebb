/* SPDX-License-Identifier: Apache-2.0 */
#include "products.h"

#include <string.h>

#define LARGEST (UINT64_C(1) << 26)

/* A dense layer is a convolution of one pixel. */
typedef struct {
    eng_conv2d_s8_params conv;
    eng_window pool; /* of one tap if nothing is fused */
} geometry;

static eng_window pixel_window(uint16_t h, uint16_t w)
{
    const eng_window one = {h, w, h, w, 1, 1, 1, 1, 1, 1, 0, 0};
    return one;
}

static geometry geometry_of(const eng_layer *l)
{
    geometry g;
    if (l->op == ENG_OP_DENSE_S8) {
        const eng_dense_s8_params *p = l->params;
        const eng_conv2d_s8_params conv = {pixel_window(1, 1), p->in, p->out, 0, p->rescale_step, p->y, p->rescale};
        g.conv = conv;
    } else if (l->op == ENG_OP_CONV2D_S8) {
        g.conv = *(const eng_conv2d_s8_params *)l->params;
    } else {
        const eng_conv2d_max_pool2d_s8_params *p = l->params;
        g.conv = p->conv;
        g.pool = p->pool;
        return g;
    }
    g.pool = pixel_window(g.conv.window.out_h, g.conv.window.out_w);
    return g;
}

static uint32_t taps_of(const eng_window *pool)
{
    const uint32_t taps = (uint32_t)pool->kernel_h * pool->kernel_w;
    return taps <= 2 ? taps : taps <= 4 ? 4 : (taps + 7) / 8 * 8;
}

static void plan_offsets(const eng_x86_format *format, eng_x86_products *p)
{
    const size_t vector = (size_t)format->lanes * ENG_X86_STEP;
    p->segment = eng_x86_aligned(sizeof *p);
    p->position = eng_x86_aligned(p->segment + p->segments * sizeof(uint32_t));
    p->lane = eng_x86_aligned(p->position + (size_t)p->outputs * p->taps * sizeof(uint32_t));
    p->w = eng_x86_aligned(p->lane + 2 * eng_x86_lanes_size(format, p->blocks));
    p->size = p->w + (size_t)p->blocks * p->segments * p->run * vector;
}

bool eng_x86_products_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_products *p)
{
    const geometry g = geometry_of(l);
    const eng_window *v = &g.conv.window;
    memset(p, 0, sizeof *p);
    if (!eng_x86_image_plan(format, &g.conv, &p->image) || (uint64_t)g.pool.out_h * g.pool.out_w * taps_of(&g.pool) > LARGEST) {
        return false;
    }
    const uint32_t run = v->dilation_w == 1 ? (uint32_t)v->kernel_w * g.conv.in_c : g.conv.in_c;
    const uint32_t step = (uint32_t)(ENG_X86_STEP / format->code_bytes);
    p->y = g.conv.y;
    p->clamp = eng_x86_clamp_of(&p->y);
    p->out = g.conv.out_c;
    p->copy = eng_x86_image_size(format, &p->image);
    p->scratch = l->op == ENG_OP_DENSE_S8 ? p->copy * ENG_PREPARE_SAMPLES : p->copy;
    p->segments = v->dilation_w == 1 ? v->kernel_h : (uint32_t)v->kernel_h * v->kernel_w;
    p->run = (run + step - 1) / step;
    p->outputs = (uint32_t)g.pool.out_h * g.pool.out_w;
    p->taps = taps_of(&g.pool);
    p->blocks = (p->out + format->lanes - 1) / format->lanes;
    plan_offsets(format, p);
    return true;
}

static void pack_segments(const eng_x86_format *format, const geometry *g, const eng_x86_products *p, uint32_t *segment)
{
    const eng_window *v = &g->conv.window;
    const uint32_t columns = p->segments / v->kernel_h;
    for (uint32_t i = 0; i < v->kernel_h; ++i) {
        for (uint32_t j = 0; j < columns; ++j) {
            const size_t at = i * v->dilation_h * p->image.row + (size_t)j * v->dilation_w * g->conv.in_c;
            *segment++ = (uint32_t)(at * format->code_bytes);
        }
    }
}

/* The taps of one pooled output, the last one repeated. */
static void pack_taps(const eng_x86_format *format, const geometry *g, const eng_x86_products *p, const eng_span *rows,
                      const eng_span *columns, uint32_t *position)
{
    const eng_window *v = &g->conv.window;
    const uint32_t count = (uint32_t)rows->count * columns->count;
    for (uint32_t t = 0; t < p->taps; ++t) {
        const uint32_t tap = t < count ? t : count - 1;
        const size_t row = (rows->pixel + (size_t)(tap / columns->count) * g->pool.dilation_h) * v->stride_h;
        const size_t column = (columns->pixel + (size_t)(tap % columns->count) * g->pool.dilation_w) * v->stride_w;
        position[t] = (uint32_t)((row * p->image.row + column * g->conv.in_c) * format->code_bytes);
    }
}

static void pack_positions(const eng_x86_format *format, const geometry *g, const eng_x86_products *p, uint32_t *position)
{
    for (uint32_t r = 0; r < g->pool.out_h; ++r) {
        const eng_span rows = eng_span_rows(&g->pool, (uint16_t)r);
        for (uint32_t q = 0; q < g->pool.out_w; ++q) {
            const eng_span columns = eng_span_columns(&g->pool, (uint16_t)q);
            pack_taps(format, g, p, &rows, &columns, position);
            position += p->taps;
        }
    }
}

/* One output's weights, from w to every vectors-th vector of `packed`. */
static void pack_weights(const eng_x86_format *format, const geometry *g, const eng_x86_products *p, const int8_t *w,
                         size_t vectors, uint8_t *packed)
{
    const eng_window *v = &g->conv.window;
    const uint32_t length = (uint32_t)v->kernel_h * v->kernel_w * g->conv.in_c / p->segments;
    const uint32_t step = (uint32_t)(ENG_X86_STEP / format->code_bytes);
    const size_t vector = (size_t)format->lanes * ENG_X86_STEP;
    for (uint32_t s = 0; s < p->segments; ++s) {
        for (uint32_t k = 0; k < length; ++k) {
            uint8_t *const at = packed + (s * p->run + k / step) * vectors * vector + k % step * format->code_bytes;
            const int16_t wide = w[k];
            memcpy(at, format->code_bytes == 1 ? (const void *)(w + k) : &wide, format->code_bytes);
        }
        w += length;
    }
}

void eng_x86_products_pack(const eng_x86_format *format, const eng_layer *l, void *packed)
{
    const geometry g = geometry_of(l);
    eng_x86_products *p = packed;
    (void)eng_x86_products_plan(format, l, p);
    uint8_t *base = packed;
    memset(base + p->segment, 0, p->size - p->segment);
    void *const segment = base + p->segment, *const position = base + p->position, *const lanes = base + p->lane;
    eng_x86_lane_packer packer = eng_x86_begin_lanes(format, &g.conv, l->op == ENG_OP_DENSE_S8, p->blocks, lanes);
    pack_segments(format, &g, p, segment);
    pack_positions(format, &g, p, position);
    const size_t vector = (size_t)format->lanes * ENG_X86_STEP;
    const size_t size = (size_t)g.conv.window.kernel_h * g.conv.window.kernel_w * g.conv.in_c;
    for (uint32_t n = 0; n < p->out; ++n) {
        const uint32_t block = n / format->lanes, lane = n % format->lanes;
        const uint32_t first = block / ENG_X86_BLOCKS * ENG_X86_BLOCKS;
        const uint32_t blocks = p->blocks - first < ENG_X86_BLOCKS ? p->blocks - first : ENG_X86_BLOCKS;
        const eng_x86_taps t = {l->w + n * size, size, 1};
        eng_x86_add_lane(&packer, n, n, &t, l->bias[n]);
        uint8_t *const chunk = base + p->w + (size_t)first * p->segments * p->run * vector;
        pack_weights(format, &g, p, l->w + n * size, blocks, chunk + (block - first) * vector + (size_t)lane * ENG_X86_STEP);
    }
    p->rounding = eng_x86_end_lanes(&packer, p->out);
}
