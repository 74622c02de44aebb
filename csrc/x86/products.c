/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "products.h"

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

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Pixels from the first that any position reads to the last, padding included. */
static uint64_t extent(uint16_t out, uint16_t stride, uint16_t kernel, uint16_t dilation)
{
    return (uint64_t)(out - 1) * stride + (uint64_t)(kernel - 1) * dilation + 1;
}

static uint32_t taps_of(const eng_window *pool)
{
    const uint32_t taps = (uint32_t)pool->kernel_h * pool->kernel_w;
    return taps <= 2 ? taps : taps <= 4 ? 4 : (taps + 7) / 8 * 8;
}

static size_t aligned(size_t size)
{
    return (size + ENG_PREPARE_ALIGNMENT - 1) / ENG_PREPARE_ALIGNMENT * ENG_PREPARE_ALIGNMENT;
}

static void plan_offsets(const eng_x86_format *format, eng_x86_products *p)
{
    const size_t vector = (size_t)format->lanes * ENG_X86_STEP;
    p->segment = aligned(sizeof *p);
    p->position = aligned(p->segment + p->segments * sizeof(uint32_t));
    p->lane = aligned(p->position + (size_t)p->outputs * p->taps * sizeof(uint32_t));
    p->w = aligned(p->lane + p->blocks * ENG_X86_LANE * vector);
    p->size = p->w + (size_t)p->blocks * p->segments * p->run * vector;
}

/* The copy of x. False if it is too large. */
static bool plan_image(const eng_x86_format *format, const eng_conv2d_s8_params *conv, eng_x86_products *p)
{
    const eng_window *v = &conv->window;
    const uint64_t rows = larger(extent(v->out_h, v->stride_h, v->kernel_h, v->dilation_h), (uint64_t)v->pad_top + v->in_h);
    const uint64_t columns = larger(extent(v->out_w, v->stride_w, v->kernel_w, v->dilation_w), (uint64_t)v->pad_left + v->in_w);
    memset(p, 0, sizeof *p);
    if (rows * columns > LARGEST || rows * columns * conv->in_c > LARGEST) {
        return false;
    }
    p->x_row = (size_t)v->in_w * conv->in_c;
    p->x_rows = v->in_h;
    p->image_row = (size_t)columns * conv->in_c;
    p->image_rows = (uint32_t)rows;
    p->left = (size_t)v->pad_left * conv->in_c;
    p->top = v->pad_top;
    p->padding = (int16_t)(conv->zero_x + format->offset);
    p->y = conv->y;
    p->out = conv->out_c;
    p->scratch = aligned((size_t)rows * p->image_row * format->code_bytes + ENG_PREPARE_ALIGNMENT);
    return true;
}

bool eng_x86_products_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_products *p)
{
    const geometry g = geometry_of(l);
    const eng_window *v = &g.conv.window;
    if (!plan_image(format, &g.conv, p) || (uint64_t)g.pool.out_h * g.pool.out_w * taps_of(&g.pool) > LARGEST) {
        return false;
    }
    const uint32_t run = v->dilation_w == 1 ? (uint32_t)v->kernel_w * g.conv.in_c : g.conv.in_c;
    const uint32_t step = (uint32_t)(ENG_X86_STEP / format->code_bytes);
    p->single = l->op == ENG_OP_DENSE_S8;
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
            const size_t at = i * v->dilation_h * p->image_row + (size_t)j * v->dilation_w * g->conv.in_c;
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
        position[t] = (uint32_t)((row * p->image_row + column * g->conv.in_c) * format->code_bytes);
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

/* One output's weights: `count` of them, `step` apart. */
typedef struct {
    const int8_t *w;
    size_t count, step;
} taps;

/* |bias| + largest |x - zero_x| * sum |w|, times 2^left, is below 2^30. */
static bool is_tame(const taps *t, int8_t zero_x, int32_t bias, const eng_rescale *r)
{
    const uint64_t x_max = (uint64_t)(zero_x < 0 ? 127 - zero_x : 128 + zero_x);
    uint64_t sum = 0;
    for (size_t k = 0; k < t->count; ++k) {
        const int32_t w = t->w[k * t->step];
        sum += (uint64_t)(w < 0 ? -w : w);
    }
    const uint64_t bound = sum * x_max + (uint64_t)(bias < 0 ? -(int64_t)bias : bias);
    return bound << r->left < UINT64_C(1) << 30;
}

/* Bias and rescale of one output. The copy's codes are x + offset: what this adds to a sum is taken off here, modulo 2^32.
 * p->tame is for all outputs so far. */
static void pack_lane(const eng_x86_format *format, const taps *t, int8_t zero_x, int32_t bias, const eng_rescale *r,
                      eng_x86_products *p, int32_t *lane)
{
    int32_t sum = 0;
    for (size_t k = 0; k < t->count; ++k) {
        sum += t->w[k * t->step];
    }
    lane[0] = (int32_t)((uint32_t)bias - (uint32_t)(sum * (format->offset + zero_x)));
    lane[format->lanes] = r->mult;
    lane[2 * format->lanes] = p->single ? 31 - r->left + r->right : r->left;
    lane[3 * format->lanes] = r->right;
    lane[4 * format->lanes] = r->right == 0 ? 0 : INT32_C(1) << (r->right - 1);
    p->tame = p->tame && is_tame(t, zero_x, bias, r);
}

/* Last step of packing lanes: those without an output must still shift by 1 to 62. */
static void finish_lanes(const eng_x86_format *format, const eng_x86_products *p, int32_t *lanes)
{
    for (uint32_t n = 0; n < p->blocks * format->lanes; ++n) {
        int32_t *const left = lanes + ((size_t)(n / format->lanes) * ENG_X86_LANE + 2) * format->lanes + n % format->lanes;
        if (p->single) {
            *left = n < p->out ? *left : 31;
        } else if (p->tame) {
            ++*left;
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
    p->tame = !p->single;
    void *const segment = base + p->segment, *const position = base + p->position, *const lanes = base + p->lane;
    pack_segments(format, &g, p, segment);
    pack_positions(format, &g, p, position);
    const size_t vector = (size_t)format->lanes * ENG_X86_STEP;
    const size_t size = (size_t)g.conv.window.kernel_h * g.conv.window.kernel_w * g.conv.in_c;
    for (uint32_t n = 0; n < p->out; ++n) {
        const uint32_t block = n / format->lanes, lane = n % format->lanes;
        const uint32_t first = block / ENG_X86_BLOCKS * ENG_X86_BLOCKS;
        const uint32_t blocks = p->blocks - first < ENG_X86_BLOCKS ? p->blocks - first : ENG_X86_BLOCKS;
        const taps t = {l->w + n * size, size, 1};
        pack_lane(format, &t, g.conv.zero_x, l->bias[n], g.conv.rescale + (size_t)n * g.conv.rescale_step, p,
                  (int32_t *)lanes + (size_t)block * ENG_X86_LANE * format->lanes + lane);
        uint8_t *const chunk = base + p->w + (size_t)first * p->segments * p->run * vector;
        pack_weights(format, &g, p, l->w + n * size, blocks, chunk + (block - first) * vector + (size_t)lane * ENG_X86_STEP);
    }
    finish_lanes(format, p, lanes);
}

bool eng_x86_depthwise_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_products *p)
{
    const eng_conv2d_s8_params *conv = l->params;
    const eng_window *v = &conv->window;
    const uint32_t step = (uint32_t)(ENG_X86_STEP / format->code_bytes);
    if (conv->in_c != conv->out_c || !plan_image(format, conv, p)) {
        return false;
    }
    p->groups = (v->kernel_h + step - 1) / step;
    p->columns = v->kernel_w;
    p->rows = v->out_h;
    p->row_codes = (uint32_t)v->out_w * p->out;
    p->repeats = v->stride_w == 1 && format->lanes % p->out == 0 ? format->lanes / p->out : 1;
    p->blocks = (p->out + format->lanes - 1) / format->lanes;
    p->row_step = v->stride_h * p->image_row;
    p->column_step = (size_t)v->stride_w * p->out * p->repeats;
    p->kernel_row = v->dilation_h * p->image_row;
    p->kernel_column = (size_t)v->dilation_w * p->out;
    p->segments = p->groups * p->columns;
    p->run = 1;
    p->mixed = p->scratch;
    p->scratch += p->groups * (aligned(p->image_row) + ENG_PREPARE_ALIGNMENT) * ENG_X86_STEP;
    plan_offsets(format, p);
    return true;
}

void eng_x86_depthwise_pack(const eng_x86_format *format, const eng_layer *l, void *packed)
{
    const eng_conv2d_s8_params *conv = l->params;
    eng_x86_products *p = packed;
    uint8_t *const base = packed;
    (void)eng_x86_depthwise_plan(format, l, p);
    memset(base + p->segment, 0, p->size - p->segment);
    p->tame = true;
    void *const lanes = base + p->lane;
    const uint32_t step = (uint32_t)(ENG_X86_STEP / format->code_bytes);
    for (uint32_t n = 0; n < p->out * p->repeats; ++n) {
        const uint32_t channel = n % p->out, block = n / format->lanes, lane = n % format->lanes;
        const taps t = {l->w + channel, (size_t)conv->window.kernel_h * p->columns, p->out};
        pack_lane(format, &t, conv->zero_x, l->bias[channel], conv->rescale + (size_t)channel * conv->rescale_step, p,
                  (int32_t *)lanes + (size_t)block * ENG_X86_LANE * format->lanes + lane);
        for (uint32_t k = 0; k < t.count; ++k) {
            const uint32_t row = k / p->columns;
            const size_t vector = (size_t)(block * p->groups + row / step) * p->columns + k % p->columns;
            uint8_t *const at = base + p->w + (vector * format->lanes + lane) * ENG_X86_STEP + row % step * format->code_bytes;
            const int16_t wide = t.w[k * t.step];
            memcpy(at, format->code_bytes == 1 ? (const void *)(t.w + k * t.step) : &wide, format->code_bytes);
        }
    }
    finish_lanes(format, p, lanes);
}
