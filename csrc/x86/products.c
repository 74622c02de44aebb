/* SPDX-License-Identifier: Apache-2.0 */
#include "narrow.h"

#include <string.h>

#define LARGEST     (UINT64_C(1) << 26)
#define MOST_SHARED 64   /* outputs of a point with several positions */
#define FLAT_UNIT   24   /* points, a multiple of most sizes of groups */
#define BAND        4096 /* codes of a band's copy, roughly */
#define BAND_POINTS 48   /* that pay for another pass over the weights */

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

/* Nothing is fused. */
static bool is_plain(const eng_window *pool)
{
    return pool->kernel_h * pool->kernel_w == 1 && pool->out_h == pool->in_h && pool->out_w == pool->in_w;
}

/* Positions of a convolution of single pixels that are neighbours throughout; 0 for any other. */
static uint32_t flat_points(const geometry *g)
{
    const eng_window *v = &g->conv.window;
    const bool flat = v->kernel_h == 1 && v->kernel_w == 1 && v->stride_h == 1 && v->stride_w == 1 && v->in_h == v->out_h &&
                      v->in_w == v->out_w && v->pad_top == 0 && v->pad_left == 0 && is_plain(&g->pool);
    return flat ? (uint32_t)v->out_h * v->out_w : 0;
}

/* Lays them out in rows that are easily cut into groups, of which the last may be shorter. */
static void flatten(geometry *g)
{
    const uint32_t points = flat_points(g), fit = BAND / (FLAT_UNIT * (uint32_t)g->conv.in_c) * FLAT_UNIT;
    const uint32_t columns = fit < FLAT_UNIT ? FLAT_UNIT : fit;
    if (points > columns) {
        g->conv.window = pixel_window((uint16_t)eng_x86_ceiling(points, columns), (uint16_t)columns);
        g->pool = pixel_window(g->conv.window.out_h, g->conv.window.out_w);
    } else if (points > 0) {
        g->conv.window = pixel_window(1, (uint16_t)points);
        g->pool = g->conv.window;
    }
}

/* How a point is made up. */
typedef struct {
    uint32_t shifts;           /* neighbouring positions */
    bool pairs;                /* of which the maximum is taken */
    bool halves;               /* the last block is one */
    uint32_t full;             /* blocks, a pair's counted twice, without halves */
    uint32_t length, segments; /* codes of a kernel row, or of a tap where taps are apart, and how many of them */
    uint32_t reach;            /* codes that a point reads of each */
    uint32_t run, half_run;    /* steps of each */
} shape;

/* Codes between horizontal neighbours. */
static uint32_t shift_of(const geometry *g)
{
    return (uint32_t)g->conv.window.stride_w * g->conv.in_c;
}

/* Outputs of a point, a pair's once. */
static uint32_t out_of(const geometry *g, const shape *s)
{
    return s->pairs ? g->conv.out_c : s->shifts * g->conv.out_c;
}

/* Half cycles of a point, roughly: a step takes two for each block and one to be loaded, rounding takes three a block, and
 * codes that are written apart from others take six. */
static uint64_t point_cost(const shape *s)
{
    const uint64_t steps = (uint64_t)s->segments * s->run, half_steps = (uint64_t)s->segments * s->half_run;
    const uint64_t full = s->full == 0 ? 0 : steps * (2 * s->full + 1) + (s->pairs ? 0 : 3 * s->full);
    return full + (s->halves ? half_steps * 3 + 3 : 0) + (s->halves && s->full > 0 ? 6 : 0);
}

static uint64_t cost_of(const shape *s)
{
    return point_cost(s) * 16 / s->shifts;
}

static shape shape_of(const eng_x86_format *format, const geometry *g, uint32_t shifts, bool pairs)
{
    const eng_window *v = &g->conv.window;
    const bool rows = v->dilation_w == 1;
    shape s = {.shifts = shifts, .pairs = pairs};
    s.length = rows ? (uint32_t)v->kernel_w * g->conv.in_c : g->conv.in_c;
    s.segments = rows ? v->kernel_h : (uint32_t)v->kernel_h * v->kernel_w;
    s.reach = s.length + (shifts - 1) * shift_of(g);
    s.run = eng_x86_ceiling(s.reach * format->code_bytes, ENG_X86_STEP);
    s.half_run = eng_x86_ceiling(s.reach * format->code_bytes, 2 * ENG_X86_STEP);
    s.full = eng_x86_ceiling(out_of(g, &s), format->lanes) * (pairs ? 2 : 1);
    const uint32_t rest = out_of(g, &s) % format->lanes;
    shape with_halves = s;
    with_halves.full = out_of(g, &s) / format->lanes;
    with_halves.halves = true;
    return !pairs && rest > 0 && rest <= format->lanes / 2u && point_cost(&with_halves) < point_cost(&s) ? with_halves : s;
}

/* Whether all windows of the pool lie inside its image. */
static bool is_inside(const eng_window *pool)
{
    const uint32_t rows = (pool->out_h - 1u) * pool->stride_h + (pool->kernel_h - 1u) * pool->dilation_h;
    const uint32_t columns = (pool->out_w - 1u) * pool->stride_w + (pool->kernel_w - 1u) * pool->dilation_w;
    return pool->pad_top == 0 && pool->pad_left == 0 && rows < pool->in_h && columns < pool->in_w;
}

/* The cheapest. Neighbours share a point only where their codes do, and with one kernel row a segment. */
static shape best_shape(const eng_x86_format *format, const geometry *g)
{
    const eng_window *v = &g->conv.window, *pool = &g->pool;
    shape best = shape_of(format, g, 1, false);
    if (v->dilation_w != 1) {
        return best;
    }
    const bool plain = is_plain(pool);
    if (!plain && pool->kernel_w == 2 && pool->dilation_w == 1 && is_inside(pool)) {
        const shape pairs = shape_of(format, g, 2, true);
        best = cost_of(&pairs) < cost_of(&best) ? pairs : best;
    }
    const bool neighbours = plain && flat_points(g) == 0;
    for (uint32_t shifts = 2; neighbours && shifts <= v->out_w && shifts * g->conv.out_c <= MOST_SHARED; shifts *= 2) {
        const shape s = shape_of(format, g, shifts, false);
        best = cost_of(&s) < cost_of(&best) ? s : best;
    }
    return best;
}

static void plan_points(const geometry *g, const shape *s, eng_x86_products *p)
{
    const eng_window *pool = &g->pool;
    const bool all = is_inside(pool), shared = s->shifts > 1 && !s->pairs;
    p->rows = pool->out_h;
    p->columns = shared ? eng_x86_ceiling(pool->out_w, s->shifts) : pool->out_w;
    p->tap_rows = pool->kernel_h;
    p->tap_columns = s->pairs ? 1 : pool->kernel_w;
    p->y_row = (size_t)pool->out_w * g->conv.out_c;
    p->last = p->y_row - (size_t)(p->columns - 1) * p->out;
    p->single = p->rows * p->columns * p->tap_rows * p->tap_columns * s->segments == 1 && !s->pairs;
    p->plain = is_plain(pool);
    p->straight = p->plain && p->last == p->out;
    for (p->even = 0; !all && p->even < pool->out_w && eng_span_columns(pool, (uint16_t)p->even).count < pool->kernel_w;) {
        ++p->even;
    }
    p->uneven = p->columns;
    while (!all && p->uneven > p->even && eng_span_columns(pool, (uint16_t)(p->uneven - 1)).count < pool->kernel_w) {
        --p->uneven;
    }
}

/* Rows of the copy that `band` rows of points read, at most. */
static uint32_t band_reach(const geometry *g, uint32_t band)
{
    const eng_window *v = &g->conv.window, *pool = &g->pool;
    const uint32_t positions = (band - 1) * pool->stride_h + (pool->kernel_h - 1u) * pool->dilation_h;
    return positions * v->stride_h + (v->kernel_h - 1u) * v->dilation_h + 1;
}

static void plan_bands(const eng_x86_format *format, const geometry *g, const shape *s, eng_x86_products *p)
{
    p->copy_row = p->image.row * format->code_bytes;
    p->reach = (g->conv.window.kernel_h - 1u) * g->conv.window.dilation_h;
    for (p->band = 1; p->band < p->rows; ++p->band) {
        if (p->band * p->columns >= BAND_POINTS && band_reach(g, p->band + 1) * p->image.row > BAND) {
            break;
        }
    }
    const uint32_t rows = band_reach(g, p->band);
    /* Beyond the image, the last point's neighbours and its last step. */
    const size_t beyond = (size_t)(s->shifts - 1) * shift_of(g) * format->code_bytes + 2 * ENG_X86_STEP;
    p->copy = eng_x86_image_size(format, &p->image, rows) + eng_x86_aligned(beyond);
}

static void plan_offsets(const eng_x86_format *format, uint32_t segments, eng_x86_products *p)
{
    const size_t vector = (size_t)format->lanes * ENG_X86_STEP;
    p->segment = eng_x86_aligned(sizeof *p);
    p->row = eng_x86_aligned(p->segment + (size_t)segments * sizeof(uint32_t));
    p->column = p->row + (size_t)p->rows * p->tap_rows * sizeof(uint32_t);
    p->lane = eng_x86_aligned(p->column + (p->plain ? 0 : (size_t)p->columns * p->tap_columns * sizeof(uint32_t)));
    p->w = eng_x86_aligned(p->lane + 2 * eng_x86_lanes_size(format, p->blocks));
    p->w_halves = p->w + (size_t)p->full * p->walk.segments * p->walk.run * vector;
    p->size = p->w_halves + (size_t)(p->blocks - p->full) * p->halves.segments * p->halves.run * vector;
}

/* All rows of the kernel are one segment if each is but one step. */
static eng_x86_walk walk_of(const eng_x86_format *format, const geometry *g, const shape *s, const eng_x86_products *p,
                            uint32_t run, size_t step)
{
    const eng_x86_walk rows = {1, s->segments, g->conv.window.dilation_h * p->image.row * format->code_bytes};
    const eng_x86_walk any = {s->segments, run, step};
    return run == 1 && g->conv.window.dilation_w == 1 ? rows : any;
}

/* Whether steps are whole, so that nothing is read beyond x. */
static bool may_be_raw(const eng_x86_format *format, const geometry *g, const shape *s)
{
    return format->raw && flat_points(g) > 0 && g->conv.in_c % (s->halves ? 2u * ENG_X86_STEP : ENG_X86_STEP) == 0;
}

/* Neighbours' kernels are one column of whole steps apart. */
static uint32_t third_of(const eng_x86_format *format, const geometry *g, const shape *s)
{
    const eng_window *v = &g->conv.window;
    const uint32_t column = (uint32_t)g->conv.in_c * format->code_bytes;
    const bool shared = v->kernel_w == 3 && v->dilation_w == 1 && v->stride_w == 1 && s->shifts == 1 && s->run > 1;
    return shared && column % ENG_X86_STEP == 0 ? column / (uint32_t)ENG_X86_STEP : 0;
}

/* Weights that are words otherwise. */
static void plan_narrow(const eng_x86_format *format, const eng_layer *l, eng_x86_products *p)
{
    eng_x86_narrow narrow;
    if (format->code_bytes > 1 && eng_x86_narrow_plan(l, &narrow)) {
        p->narrow = eng_x86_aligned(p->size);
        p->size = p->narrow + narrow.size;
    }
}

bool eng_x86_products_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_products *p)
{
    geometry g = geometry_of(l);
    const uint32_t points = flat_points(&g);
    flatten(&g);
    const shape s = best_shape(format, &g);
    memset(p, 0, sizeof *p);
    if (!eng_x86_image_plan(format, &g.conv, &p->image)) {
        return false;
    }
    p->image.x_codes = points > 0 ? (size_t)points * g.conv.in_c : p->image.x_codes;
    p->y = g.conv.y;
    p->clamp = eng_x86_clamp_of(&p->y);
    p->pairs = s.pairs;
    p->walk = walk_of(format, &g, &s, p, s.run, ENG_X86_STEP);
    p->halves = walk_of(format, &g, &s, p, s.half_run, 2 * ENG_X86_STEP);
    p->out = out_of(&g, &s);
    p->full = s.full;
    p->blocks = s.full + (s.halves ? 1 : 0);
    p->point = (size_t)(s.pairs ? 1 : s.shifts) * g.pool.stride_w * shift_of(&g) * format->code_bytes;
    plan_points(&g, &s, p);
    p->third = third_of(format, &g, &s);
    p->raw = may_be_raw(format, &g, &s) && (p->single || p->straight);
    p->last_columns = points > 0 ? points - (p->rows - 1) * p->columns : p->columns;
    if ((uint64_t)p->rows * p->tap_rows > LARGEST || (uint64_t)p->columns * p->tap_columns > LARGEST) {
        return false;
    }
    plan_offsets(format, s.segments, p);
    plan_narrow(format, l, p);
    plan_bands(format, &g, &s, p);
    p->scratch = l->op == ENG_OP_DENSE_S8 ? ENG_X86_COPIES * p->copy : p->copy;
    return true;
}

static void pack_segments(const eng_x86_format *format, const geometry *g, const shape *s, const eng_x86_products *p,
                          uint32_t *segment)
{
    const eng_window *v = &g->conv.window;
    const uint32_t columns = s->segments / v->kernel_h; /* where all rows are one segment, it is the first */
    for (uint32_t i = 0; i < v->kernel_h; ++i) {
        for (uint32_t j = 0; j < columns; ++j) {
            const size_t at = i * v->dilation_h * p->image.row + (size_t)j * v->dilation_w * g->conv.in_c;
            *segment++ = (uint32_t)(at * format->code_bytes);
        }
    }
}

/* Distances to the taps of all outputs of an axis, the last one inside repeated; unit: the one between the convolution's
 * positions. */
static void pack_taps(uint32_t out, uint32_t taps, const eng_window *pool, bool rows, size_t unit, uint32_t *offset)
{
    for (uint32_t i = 0; i < out; ++i) {
        const eng_span span = rows ? eng_span_rows(pool, (uint16_t)i) : eng_span_columns(pool, (uint16_t)i);
        for (uint32_t t = 0; t < taps; ++t) {
            const uint32_t tap = t < span.count ? t : span.count - 1u;
            *offset++ = (uint32_t)((span.pixel + (size_t)tap * (rows ? pool->dilation_h : pool->dilation_w)) * unit);
        }
    }
}

static void pack_positions(const eng_x86_format *format, const geometry *g, const eng_x86_products *p, uint32_t *row,
                           uint32_t *column)
{
    pack_taps(p->rows, p->tap_rows, &g->pool, true, g->conv.window.stride_h, row);
    if (!p->plain) {
        pack_taps(p->columns, p->tap_columns, &g->pool, false, (size_t)shift_of(g) * format->code_bytes, column);
    }
}

/* Where an output's weights go: its first vector, of every vectors-th, its first lane of so many, and steps of a segment. */
typedef struct {
    uint8_t *packed;
    size_t vectors;
    uint32_t lane, lanes, run;
} destination;

/* The weights of one output of one of a point's positions. */
static void pack_weights(const eng_x86_format *format, const geometry *g, const shape *s, uint32_t position, const int8_t *w,
                         const destination *d)
{
    const uint32_t codes = (uint32_t)ENG_X86_STEP / format->code_bytes;
    const size_t vector = (size_t)format->lanes * ENG_X86_STEP;
    for (uint32_t segment = 0; segment < s->segments; ++segment) {
        for (uint32_t k = 0; k < s->length; ++k) {
            const uint32_t code = k + position * shift_of(g), step = segment * d->run + code / (codes * d->lanes);
            const size_t to = d->lane * d->lanes + code / codes % d->lanes;
            uint8_t *const at = d->packed + step * d->vectors * vector + to * ENG_X86_STEP + code % codes * format->code_bytes;
            const int8_t narrow = *w++;
            const int16_t wide = narrow;
            memcpy(at, format->code_bytes == 1 ? (const void *)&narrow : &wide, format->code_bytes);
        }
    }
}

/* All outputs of one of a point's positions. */
static void pack_outputs(const eng_x86_format *format, const eng_layer *l, const geometry *g, const shape *s, uint32_t position,
                         const eng_x86_products *p, uint8_t *base)
{
    const size_t vector = (size_t)format->lanes * ENG_X86_STEP, size = (size_t)s->segments * s->length;
    for (uint32_t n = 0; n < g->conv.out_c; ++n) {
        const uint32_t output = s->pairs ? n : position * g->conv.out_c + n;
        const uint32_t block = s->pairs ? output / format->lanes * 2 + position : output / format->lanes;
        const uint32_t first = block / ENG_X86_BLOCKS * ENG_X86_BLOCKS;
        const uint32_t blocks = p->full - first < ENG_X86_BLOCKS ? p->full - first : ENG_X86_BLOCKS;
        const size_t begin = (size_t)first * p->walk.segments * p->walk.run + (block - first);
        const destination full = {base + p->w + begin * vector, blocks, output % format->lanes, 1, s->run};
        const destination halves = {base + p->w_halves, 1, output % format->lanes, 2, s->half_run};
        pack_weights(format, g, s, position, l->w + n * size, block < p->full ? &full : &halves);
    }
}

/* Sums of halves begin in every other lane. */
static void spread_bias(const eng_x86_format *format, int32_t *bias)
{
    for (uint32_t i = format->lanes / 2u; i-- > 0;) {
        bias[2 * i] = bias[i];
        bias[2 * i + 1] = 0;
    }
}

void eng_x86_products_pack(const eng_x86_format *format, const eng_layer *l, void *packed)
{
    geometry g = geometry_of(l);
    flatten(&g);
    const shape s = best_shape(format, &g);
    eng_x86_products *p = packed;
    (void)eng_x86_products_plan(format, l, p);
    uint8_t *const base = packed;
    memset(base + p->segment, 0, p->size - p->segment);
    void *const segment = base + p->segment, *const row = base + p->row, *const column = base + p->column;
    void *const lanes = base + p->lane;
    eng_x86_lane_packer packer = eng_x86_begin_lanes(format, &g.conv, l->op == ENG_OP_DENSE_S8, p->blocks, lanes);
    pack_segments(format, &g, &s, p, segment);
    pack_positions(format, &g, p, row, column);
    const size_t size = (size_t)s.segments * s.length;
    for (uint32_t n = 0; n < p->out; ++n) {
        const eng_x86_taps t = {l->w + n % g.conv.out_c * size, size, 1};
        if (n < g.conv.out_c) {
            eng_x86_add_lane(&packer, n, n, &t, l->bias[n]);
        } else {
            eng_x86_repeat_lane(&packer, n, n % g.conv.out_c);
        }
    }
    for (uint32_t position = 0; position < s.shifts; ++position) {
        pack_outputs(format, l, &g, &s, position, p, base);
    }
    p->rounding = eng_x86_end_lanes(&packer, p->out);
    if (s.halves) {
        spread_bias(format, (int32_t *)lanes + (size_t)p->full * ENG_X86_LANE * format->lanes);
    }
    if (p->narrow != 0) {
        eng_x86_narrow_pack(l, p);
    }
}
