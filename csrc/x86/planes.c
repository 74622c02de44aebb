/* SPDX-License-Identifier: Apache-2.0 */
#include "planes.h"

#include <string.h>

#include "image.h"

#define KERNEL  3
#define LANES   16
#define STEP    4     /* codes */
#define BLOCK   64    /* codes, and bytes of each plane */
#define BAND    16384 /* bytes of the mixed rows that are kept, roughly */
#define LARGEST (UINT32_C(1) << 22)

static bool is_suited(const eng_x86_format *format, const eng_conv2d_s8_params *conv)
{
    const eng_window *v = &conv->window;
    const uint32_t c = conv->in_c;
    const bool kernel = v->kernel_h == KERNEL && v->kernel_w == KERNEL && v->dilation_h == 1 && v->dilation_w == 1;
    const bool blocks = c % BLOCK == 0 || (c >= 8 && BLOCK % c == 0);
    const bool stride = v->stride_h == v->stride_w && (v->stride_h == 1 || (v->stride_h == 2 && c >= 16));
    return format->lanes == LANES && format->code_bytes == 1 && c == conv->out_c && kernel && blocks && stride;
}

/* The code of a padded row that the first of a block's pixels of phase f begins with. */
static uint32_t first_of(const eng_x86_planes *p, uint32_t block, uint32_t phase)
{
    const uint32_t c = p->channels, parts = c < BLOCK ? 1 : c / BLOCK;
    return p->stride == 1 ? block * BLOCK
           : c < BLOCK    ? (2 * block + phase) * BLOCK /* neighbours are told apart later */
                          : (block / parts * 2 + phase) * c + block % parts * BLOCK;
}

/* Where plane j's sums find the codes `codes` further on. */
static uint32_t step_at(const eng_x86_planes *p, uint32_t codes, uint32_t j)
{
    const uint32_t at = codes + j * STEP;
    return (uint32_t)(at / STEP % ENG_X86_PLANES * p->plane + at / LANES * LANES);
}

static void plan_steps(eng_x86_planes *p)
{
    const uint32_t columns = p->stride == 1 ? KERNEL : 2;
    p->steps = p->stride == 1 ? KERNEL : 4;
    p->packed = p->stride == 1 ? 2 : 1;
    for (uint32_t c = 0; c < columns; ++c) {
        for (uint32_t j = 0; j < ENG_X86_PLANES; ++j) {
            p->step[c][j] = step_at(p, c * p->channels, j);
        }
    }
}

static void plan_offsets(const eng_x86_format *format, eng_x86_planes *p)
{
    const size_t mixed = ENG_X86_PLANES * p->plane, vectors = (size_t)p->period * ENG_X86_PLANES;
    p->block = eng_x86_aligned(sizeof *p);
    p->padding = eng_x86_aligned(p->block + p->blocks * sizeof(eng_x86_plane_block));
    p->lane = p->padding + p->stride * p->blocks * (size_t)BLOCK + p->channels;
    p->lane = eng_x86_aligned(p->lane);
    p->w = p->lane + 2 * eng_x86_lanes_size(format, (uint32_t)vectors);
    p->size = p->w + vectors * p->steps * p->packed * LANES * STEP;
    p->words = (size_t)p->band * 2 * p->blocks * BLOCK; /* of two output rows a pass */
    p->scratch = p->words + p->band * mixed;
}

bool eng_x86_planes_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_planes *p)
{
    const eng_conv2d_s8_params *conv = l->params;
    const eng_window *v = &conv->window;
    eng_x86_image image;
    if (l->op != ENG_OP_DEPTHWISE_CONV2D_S8 || !is_suited(format, conv) || !eng_x86_image_plan(format, conv, &image)) {
        return false;
    }
    memset(p, 0, sizeof *p);
    p->y = conv->y;
    p->clamp = eng_x86_clamp_of(&p->y);
    p->stride = v->stride_h;
    p->channels = conv->in_c;
    p->in_h = v->in_h;
    p->top = v->pad_top;
    p->x_row = image.x_row;
    p->left = image.left;
    p->rows = v->out_h;
    p->row_codes = (uint32_t)v->out_w * conv->out_c;
    p->period = p->channels < BLOCK ? 1 : p->channels / BLOCK;
    const uint32_t reach = (p->stride == 1 ? 2u : 1u) * p->channels;
    p->blocks = (p->row_codes + reach + BLOCK - 1) / BLOCK;
    p->plane = (size_t)(p->blocks + 1) * BLOCK;
    const uint32_t mixed_rows = p->stride == 1 ? (p->rows + 1) / 2 : p->rows + 1;
    const size_t fit = BAND / (ENG_X86_PLANES * p->plane), least = p->stride == 1 ? 1 : 3; /* of a pass */
    p->band = (uint32_t)(fit < least ? least : fit < ENG_X86_PLANE_BAND ? fit : ENG_X86_PLANE_BAND);
    p->band = p->band < mixed_rows || p->stride == 2 ? p->band : mixed_rows;
    plan_steps(p);
    plan_offsets(format, p);
    return p->size <= LARGEST;
}

static void pack_blocks(const eng_x86_planes *p, eng_x86_plane_block *blocks)
{
    for (uint32_t b = 0; b < p->blocks; ++b) {
        for (uint32_t phase = 0; phase < p->stride; ++phase) {
            const uint32_t first = first_of(p, b, phase);
            blocks[b].first[phase] = first;
            for (uint32_t i = 0; i < BLOCK; ++i) {
                const size_t at = first + i;
                blocks[b].inside[phase] |= (uint64_t)(at >= p->left && at - p->left < p->x_row) << i;
            }
        }
    }
}

/* The number of a lane whose sums are of code `code` of a period. */
static uint32_t lane_of(uint32_t code)
{
    const uint32_t block = code / BLOCK, plane = code / STEP % ENG_X86_PLANES, quarter = code % BLOCK / LANES;
    return (block * ENG_X86_PLANES + plane) * LANES + quarter * STEP + code % STEP;
}

/* Whether byte e of step s is in the kernel of output row r of a pass, and of which tap it is the weight. */
static bool tap_of(const eng_x86_planes *p, uint32_t s, uint32_t r, uint32_t e, uint32_t *tap)
{
    const uint32_t row = p->stride == 1 ? e - r : s / 2 * 2 + e / 2; /* wraps if above */
    const uint32_t column = p->stride == 1 ? s : s % 2 * 2 + e % 2;
    *tap = row * KERNEL + column;
    return row < KERNEL && column < KERNEL;
}

static void pack_lane(const eng_x86_planes *p, uint32_t n, const eng_x86_taps *t, int8_t *w)
{
    for (uint32_t s = 0; s < p->steps; ++s) {
        for (uint32_t r = 0; r < p->packed; ++r) {
            int8_t *const to = w + (((size_t)n / LANES * p->steps + s) * p->packed + r) * LANES * STEP + n % LANES * STEP;
            for (uint32_t e = 0, tap; e < STEP; ++e) {
                to[e] = tap_of(p, s, r, e, &tap) ? t->w[tap * t->step] : 0;
            }
        }
    }
}

void eng_x86_planes_pack(const eng_x86_format *format, const eng_layer *l, void *packed)
{
    const eng_conv2d_s8_params *conv = l->params;
    eng_x86_planes *p = packed;
    uint8_t *const base = packed;
    (void)eng_x86_planes_plan(format, l, p);
    memset(base + p->block, 0, p->size - p->block);
    void *const blocks = base + p->block, *const lanes = base + p->lane, *const w = base + p->w;
    pack_blocks(p, blocks);
    memset(base + p->padding, conv->zero_x, p->lane - p->padding);
    eng_x86_lane_packer packer = eng_x86_begin_lanes(format, conv, false, p->period * ENG_X86_PLANES, lanes);
    for (uint32_t code = 0; code < p->period * BLOCK; ++code) {
        const uint32_t channel = code % p->channels, n = lane_of(code);
        const eng_x86_taps t = {l->w + channel, KERNEL * KERNEL, p->channels};
        if (code < p->channels) {
            eng_x86_add_lane(&packer, n, channel, &t, l->bias[channel]);
        } else {
            eng_x86_repeat_lane(&packer, n, lane_of(channel));
        }
        pack_lane(p, n, &t, w);
    }
    p->rounding = eng_x86_end_lanes(&packer, p->period * BLOCK);
}
