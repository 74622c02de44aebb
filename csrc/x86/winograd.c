/* SPDX-License-Identifier: Apache-2.0 */
#include "winograd.h"

#include <string.h>

#include "image.h"
#include "products.h"

#define MOST_WEIGHTS (UINT64_C(1) << 26)
#define LONGEST_ROW  (UINT32_C(1) << 20) /* codes: four rows of tiles have lines of 48 MB then */
#define MOST_PADDING 2
#define BOUND        ((UINT32_C(1) << 25) - (UINT32_C(1) << 23))

/* G of winograd.h. */
static const int8_t weights_of_point[ENG_X86_POINTS][3] = {{6, 0, 0}, {-1, -1, -1}, {-1, 1, -1},
                                                           {1, 2, 4}, {1, -2, 4},   {0, 0, 6}};

static bool is_3x3(const eng_window *v)
{
    return v->kernel_h == 3 && v->kernel_w == 3 && v->stride_h == 1 && v->stride_w == 1 && v->dilation_h == 1 &&
           v->dilation_w == 1 && v->pad_top <= MOST_PADDING && v->pad_left <= MOST_PADDING;
}

/* Whether all sums are so small that they are known from their multiples modulo 2^32. */
static bool is_bounded(const eng_layer *l)
{
    const eng_conv2d_s8_params *conv = l->params;
    const uint32_t x_most = (uint32_t)(conv->zero_x < 0 ? 127 - conv->zero_x : 128 + conv->zero_x);
    const size_t taps = (size_t)9 * conv->in_c;
    const int8_t *w = l->w;
    for (uint32_t n = 0; n < conv->out_c; ++n) {
        uint64_t magnitude = 0;
        for (size_t k = 0; k < taps; ++k, ++w) {
            magnitude += (uint64_t)(*w < 0 ? -*w : *w);
        }
        const int64_t bias = l->bias[n];
        if (magnitude * x_most + (uint64_t)(bias < 0 ? -bias : bias) >= BOUND) {
            return false;
        }
    }
    return true;
}

static void plan_lines(const eng_x86_format *format, const eng_window *v, eng_x86_winograd *p)
{
    const uint32_t unit = 2u * format->lanes;
    const uint32_t columns = ENG_X86_TILE * p->tile_columns + 2;
    const uint32_t right = columns > v->pad_left + UINT32_C(1) * v->in_w ? columns - v->pad_left - v->in_w : 0;
    p->first = (size_t)eng_x86_ceiling(p->left * p->channels, unit) * unit;
    p->right = (size_t)right * p->channels;
    /* The last chunk of the last pixel may be short. */
    const size_t codes = p->first + p->x_row + p->right + ENG_X86_CHUNK;
    p->line = (codes + unit - 1) / unit * unit;
    for (p->band = 1; p->band < p->tile_rows && p->band * p->tile_columns % ENG_X86_TILES != 0; ++p->band) {
    }
}

static void plan_offsets(const eng_x86_format *format, eng_x86_winograd *p)
{
    const size_t vector = (size_t)format->lanes * sizeof(int32_t);
    p->lane = eng_x86_aligned(sizeof *p);
    p->start = eng_x86_aligned(p->lane + 2 * eng_x86_lanes_size(format, p->blocks));
    p->w = eng_x86_aligned(p->start + p->blocks * vector);
    p->size = p->w + (size_t)p->blocks * p->eights * ENG_X86_POINTS * ENG_X86_POINTS * (ENG_X86_EIGHT / 2) * vector;
    p->lines = eng_x86_aligned(p->x_row);
    p->tiles = eng_x86_aligned(p->lines + p->band * ENG_X86_POINTS * p->line * sizeof(int16_t));
    p->sums = p->tiles + p->chunks * ENG_X86_POINTS * ENG_X86_POINTS * ENG_X86_TILES * ENG_X86_CHUNK * sizeof(int16_t);
    p->scratch = p->sums + ENG_X86_POINTS * ENG_X86_TILE * ENG_X86_TILES * vector;
}

bool eng_x86_winograd_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_winograd *p)
{
    const eng_conv2d_s8_params *conv = l->params;
    if (l->op != ENG_OP_CONV2D_S8 || !is_3x3(&conv->window)) {
        return false;
    }
    const eng_window *v = &conv->window;
    memset(p, 0, sizeof *p);
    p->y = conv->y;
    p->clamp = eng_x86_clamp_of(&p->y);
    p->out_h = v->out_h;
    p->out_w = v->out_w;
    p->out_c = conv->out_c;
    p->blocks = eng_x86_ceiling(conv->out_c, format->lanes);
    p->channels = conv->in_c;
    p->chunks = eng_x86_ceiling(conv->in_c, ENG_X86_CHUNK);
    p->eights = eng_x86_ceiling(conv->in_c, ENG_X86_EIGHT);
    p->x_h = v->in_h;
    p->top = v->pad_top;
    p->left = v->pad_left;
    p->x_row = (size_t)v->in_w * conv->in_c;
    p->zero_x = conv->zero_x;
    p->tile_rows = eng_x86_ceiling(v->out_h, ENG_X86_TILE);
    p->tile_columns = eng_x86_ceiling(v->out_w, ENG_X86_TILE);
    const uint64_t weights = (uint64_t)p->blocks * p->eights * format->lanes * ENG_X86_EIGHT * ENG_X86_POINTS * ENG_X86_POINTS;
    if (p->x_row < 2u * format->lanes || p->x_row > LONGEST_ROW || weights > MOST_WEIGHTS || !is_bounded(l)) {
        return false;
    }
    plan_lines(format, v, p);
    plan_offsets(format, p);
    return true;
}

/* Cycles, roughly, measured on shapes of 2 x 2 to 96 x 96 pixels and 3 to 100 channels: of a group of tiles those for
 * transforming a chunk of channels, for summing an eight of them and for storing a block, and in hundredths those of the direct
 * kernel for a step of a block. */
typedef struct {
    uint32_t chunk, eight, block, step;
} costs;

static const costs *costs_of(const eng_x86_format *format)
{
    static const costs words = {450, 415, 370, 66}, eight_lanes = {380, 330, 310, 61}, sixteen_lanes = {300, 320, 280, 59};
    return format->code_bytes == 2 ? &words : format->lanes == 8 ? &eight_lanes : &sixteen_lanes;
}

/* A block of outputs that is not whole costs the direct kernel 7/10 of one if up to half of it is used, else 12/10. A gain of
 * less than a twentieth is left alone. */
bool eng_x86_winograd_pays(const eng_x86_format *format, const eng_x86_winograd *p)
{
    const costs *const cost = costs_of(format);
    const uint64_t tiles = (uint64_t)p->tile_rows * p->tile_columns, groups = (tiles + ENG_X86_TILES - 1) / ENG_X86_TILES;
    const uint64_t group = cost->chunk * p->chunks + (uint64_t)p->blocks * (cost->eight * p->eights + cost->block);
    const uint32_t row = eng_x86_ceiling(3 * p->channels * format->code_bytes, ENG_X86_STEP), rest = p->out_c % format->lanes;
    const uint32_t tenths = p->out_c / format->lanes * 10 + (rest == 0 ? 0 : 2 * rest <= format->lanes ? 7 : 12);
    return groups * group * 1050 < (uint64_t)p->out_h * p->out_w * 3 * row * tenths * cost->step;
}

/* Transformed weights of output n and channel c. */
static void pack_weights(const eng_x86_format *format, const eng_x86_winograd *p, uint32_t n, uint32_t c, const int8_t *w,
                         int16_t *packed)
{
    const uint32_t lanes = format->lanes;
    for (uint32_t h = 0; h < ENG_X86_POINTS; ++h) {
        for (uint32_t v = 0; v < ENG_X86_POINTS; ++v) {
            int32_t sum = 0;
            for (uint32_t i = 0; i < 3; ++i) {
                for (uint32_t j = 0; j < 3; ++j) {
                    sum += weights_of_point[v][i] * weights_of_point[h][j] * w[(i * 3 + j) * p->channels + c];
                }
            }
            const size_t eight = ((size_t)n / lanes * ENG_X86_POINTS + h) * p->eights + c / ENG_X86_EIGHT;
            const size_t pair = (eight * ENG_X86_POINTS + v) * (ENG_X86_EIGHT / 2) + c % ENG_X86_EIGHT / 2;
            packed[(pair * lanes + n % lanes) * 2 + c % 2] = (int16_t)sum;
        }
    }
}

void eng_x86_winograd_pack(const eng_x86_format *format, const eng_layer *l, void *packed)
{
    const eng_conv2d_s8_params *conv = l->params;
    eng_x86_format codes = *format; /* they are read as they are */
    eng_x86_winograd *p = packed;
    (void)eng_x86_winograd_plan(format, l, p);
    uint8_t *const base = packed;
    memset(base + sizeof *p, 0, p->size - sizeof *p);
    void *const lanes = base + p->lane, *const start = base + p->start, *const weights = base + p->w;
    codes.offset = 0;
    eng_x86_lane_packer packer = eng_x86_begin_lanes(&codes, conv, false, p->blocks, lanes);
    const size_t size = (size_t)9 * p->channels;
    for (uint32_t n = 0; n < p->out_c; ++n) {
        const eng_x86_taps taps = {l->w + n * size, size, 1};
        eng_x86_add_lane(&packer, n, n, &taps, l->bias[n]);
        for (uint32_t c = 0; c < p->channels; ++c) {
            pack_weights(format, p, n, c, taps.w, weights);
        }
    }
    p->rounding = eng_x86_end_lanes(&packer, p->out_c);
    for (uint32_t n = 0; n < p->blocks * format->lanes; ++n) {
        const int32_t *const bias = (const int32_t *)lanes + (size_t)(n / format->lanes) * ENG_X86_LANE * format->lanes;
        ((int32_t *)start)[n] = (int32_t)(36 * (uint32_t)bias[n % format->lanes]);
    }
}
