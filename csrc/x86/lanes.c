/* SPDX-License-Identifier: Apache-2.0 */
#include "lanes.h"

#include <math.h>
#include <string.h>

#define MOST_LANES 16
#define CODES      255 /* that a sum can rise to */

enum { BIAS, SCALE, FINE, OFFSET, SHIFT, BELOW };

/* One output of a layer. */
typedef struct {
    const eng_rescale *rescale;
    const eng_output_s8 *y;
    bool single;
    int32_t bias;   /* as packed */
    uint64_t bound; /* of the magnitude of its sums */
} output;

static int32_t exact_code(const output *o, int32_t sum)
{
    return o->single ? eng_requant_single_s8(sum, o->rescale, o->y) : eng_requant_double_s8(sum, o->rescale, o->y);
}

static double power(int exponent)
{
    return exponent < 0 ? 1.0 / (double)(UINT64_C(1) << -exponent) : (double)(UINT64_C(1) << exponent);
}

/* Whether codes may be below the zero point. */
static bool is_signed(const eng_output_s8 *y)
{
    return y->lo < y->zero;
}

/* From a positive float to the next larger one; 0 for 0. */
static double ulp(float v)
{
    uint32_t bits;
    float next;
    memcpy(&bits, &v, sizeof bits);
    bits += bits > 0;
    memcpy(&next, &bits, sizeof next);
    return (double)(next - v);
}

static bool is_tame(const output *o)
{
    return o->bound << o->rescale->left < UINT64_C(1) << 30;
}

static void set_float(int32_t *at, double v)
{
    const float f = (float)v;
    memcpy(at, &f, sizeof f);
}

/* The smallest sum in [-bound, bound] whose exact code is at least `code`; bound + 1 if there is none. Bisection, from a narrow
 * range around where it must nearly be, if that holds it. */
static int32_t threshold(const output *o, int32_t code)
{
    const int32_t bound = (int32_t)o->bound;
    const double ratio = o->rescale->mult * power(o->rescale->left - o->rescale->right - 31);
    const double guess = ratio > 0 ? (code - o->y->zero - 0.5) / ratio : 0;
    const int32_t near = guess < -bound ? -bound : guess > bound ? bound : (int32_t)guess;
    int32_t below = -bound - 1, above = bound + 1; /* exact_code(below) < code <= exact_code(above), if these were sums */
    if (near - 4 > below && exact_code(o, near - 4) < code) {
        below = near - 4;
    }
    if (near + 4 < above && exact_code(o, near + 4) >= code) {
        above = near + 4;
    }
    while (above - below > 1) {
        const int32_t middle = below + (above - below) / 2;
        if (exact_code(o, middle) < code) {
            below = middle;
        } else {
            above = middle;
        }
    }
    return above;
}

/* The smallest sums of the codes lo + 1 ... hi of an output. */
typedef struct {
    int32_t first[CODES];
    uint32_t count;
    int32_t code; /* of first[0] */
} rises;

static rises rises_of(const output *o)
{
    rises r = {.count = (uint32_t)(o->y->hi - o->y->lo), .code = o->y->lo + 1};
    for (uint32_t i = 0; i < r.count; ++i) {
        r.first[i] = threshold(o, r.code + (int32_t)i);
    }
    return r;
}

/* What offsets a scale leaves: [least, most). */
typedef struct {
    double least, most;
} range;

/* Offsets with which floor(scale * (sum + shift) + offset), clamped, is right at the ends of the sums below zero, or of the
 * others, and reaches each code that lies between at its first sum and not one before. */
static range offsets_for(const output *o, const rises *r, double scale, int32_t shift, bool below)
{
    const int32_t bound = (int32_t)o->bound, from = below ? -bound : 0, to = below ? -1 : bound;
    const int32_t start = exact_code(o, from), end = exact_code(o, to);
    range found = {-HUGE_VAL, HUGE_VAL};
    if (start > o->y->lo) {
        found.least = start - scale * ((double)from + shift);
    }
    if (end < o->y->hi) {
        found.most = end + 1 - scale * ((double)to + shift);
    }
    for (int32_t code = start + 1; code <= end; ++code) {
        const double at = code - scale * ((double)r->first[code - r->code] + shift);
        found.least = at > found.least ? at : found.least;
        found.most = at + scale < found.most ? at + scale : found.most;
    }
    return found;
}

static double middle(range r, double otherwise)
{
    const bool open_below = r.least == -HUGE_VAL, open_above = r.most == HUGE_VAL;
    return open_below && open_above ? otherwise : open_below ? r.most - 1 : open_above ? r.least : (r.least + r.most) / 2;
}

/* Constants of the quick form in column 0 of lane[vector][lanes]; false if no offset fits. Where no code is below the zero
 * point, sums below zero may have the others' offset. */
static bool quick_constants(const eng_x86_format *format, const output *o, const rises *r, double scale, double fine,
                            int32_t shift, int32_t *lane)
{
    const range above = offsets_for(o, r, scale + fine, shift, false), below = offsets_for(o, r, scale + fine, shift, true);
    const double offset = middle(above, middle(below, 0));
    lane[BIAS] = (int32_t)((uint32_t)o->bias + (uint32_t)shift);
    set_float(lane + SCALE * format->lanes, scale);
    set_float(lane + FINE * format->lanes, fine);
    set_float(lane + OFFSET * format->lanes, offset);
    lane[SHIFT * format->lanes] = shift;
    set_float(lane + BELOW * format->lanes, is_signed(o->y) ? middle(below, offset) : offset);
    return above.least < above.most && below.least < below.most;
}

/* Whether the quick form gives the exact codes of `format->lanes` sums. lane: the output's constants in every lane. */
static bool agrees(const eng_x86_format *format, const output *o, const int32_t *lane, const int32_t *sums)
{
    int32_t shifted[MOST_LANES], codes[MOST_LANES];
    for (uint32_t i = 0; i < format->lanes; ++i) {
        shifted[i] = sums[i] + lane[SHIFT * format->lanes];
    }
    format->quick(lane, shifted, codes);
    for (uint32_t i = 0; i < format->lanes; ++i) {
        const int32_t code = codes[i] < o->y->lo ? o->y->lo : codes[i] > o->y->hi ? o->y->hi : codes[i];
        if (code != exact_code(o, sums[i])) {
            return false;
        }
    }
    return true;
}

/* Sums on both sides of every rise of the exact code and of zero, and the ends; returns how many, a multiple of the lanes. */
static uint32_t sums_to_try(const eng_x86_format *format, const output *o, const rises *r, int32_t *sums)
{
    const int32_t bound = (int32_t)o->bound;
    uint32_t count = 0;
    sums[count++] = -bound;
    sums[count++] = bound;
    sums[count++] = 0;
    sums[count++] = bound > 0 ? -1 : 0;
    for (uint32_t i = 0; i < r->count; ++i) {
        const int32_t first = r->first[i];
        sums[count++] = first > bound ? bound : first;
        sums[count++] = first > -bound ? first - 1 : first;
    }
    for (; count % format->lanes != 0; ++count) {
        sums[count] = bound;
    }
    return count;
}

/* Tries constants, column 0 of lane[vector][lanes], on all sums. */
static bool is_right(const eng_x86_format *format, const output *o, const rises *r, int32_t *lane)
{
    int32_t sums[2 * CODES + 4 + MOST_LANES];
    const uint32_t count = sums_to_try(format, o, r, sums);
    for (uint32_t i = 0; i < ENG_X86_LANE * UINT32_C(1) * format->lanes; ++i) {
        lane[i] = lane[i - i % format->lanes];
    }
    for (uint32_t i = 0; i < count; i += format->lanes) {
        if (!agrees(format, o, lane, sums + i)) {
            return false;
        }
    }
    return true;
}

/* Writes constants of the quick form that are proven right for all sums within the bound, with fine = 0 if there are such;
 * false if none are found. */
static bool write_quick(const eng_x86_format *format, const output *o, int32_t *quick)
{
    const double unit = power(o->rescale->left - o->rescale->right - 31), ratio = o->rescale->mult * unit;
    const double start = o->y->zero + 0.5, coarse = (double)(o->rescale->mult & ~INT32_C(127)) * unit;
    const double shift = ratio * power(23) > 129 ? start / ratio : 0;
    const int32_t whole = (int32_t)(shift < 0 ? shift - 0.5 : shift + 0.5);
    const double nearest = (double)(float)ratio, next = ulp((float)ratio);
    const struct {
        double scale, fine;
    } tries[] = {{nearest, 0}, {nearest - next, 0}, {nearest + next, 0}, {coarse, ratio - coarse}};
    const rises r = rises_of(o);
    for (uint32_t try = 0; try < sizeof tries / sizeof *tries; ++try) {
        int32_t lane[ENG_X86_LANE * MOST_LANES] __attribute__((aligned(64)));
        if (quick_constants(format, o, &r, tries[try].scale, tries[try].fine, whole, lane) && is_right(format, o, &r, lane)) {
            for (uint32_t i = 0; i < ENG_X86_LANE; ++i) {
                quick[i * format->lanes] = lane[i * format->lanes];
            }
            return true;
        }
    }
    return false;
}

static float float_at(const int32_t *at)
{
    float v;
    memcpy(&v, at, sizeof v);
    return v;
}

bool eng_x86_quick_lane_of(const eng_x86_format *format, const eng_rescale *r, const eng_output_s8 *y, uint32_t bound,
                           eng_x86_quick_lane *lane)
{
    const output o = {r, y, false, 0, bound};
    int32_t column[ENG_X86_LANE * MOST_LANES];
    if (!is_tame(&o) || !write_quick(format, &o, column) || column[FINE * format->lanes] != 0) {
        return false;
    }
    lane->shift = column[SHIFT * format->lanes];
    lane->scale = float_at(column + SCALE * format->lanes);
    lane->offset = float_at(column + OFFSET * format->lanes);
    lane->below = float_at(column + BELOW * format->lanes);
    return true;
}

eng_x86_clamp eng_x86_clamp_of(const eng_output_s8 *y)
{
    eng_x86_clamp clamp;
    memset(clamp.lo, y->lo, sizeof clamp.lo);
    memset(clamp.hi, y->hi, sizeof clamp.hi);
    return clamp;
}

bool eng_x86_saturates(const eng_x86_clamp *clamp)
{
    return clamp->lo[0] == INT8_MIN && clamp->hi[0] == INT8_MAX;
}

size_t eng_x86_lanes_size(const eng_x86_format *format, uint32_t blocks)
{
    return (size_t)blocks * ENG_X86_LANE * format->lanes * sizeof(int32_t);
}

eng_x86_lane_packer eng_x86_begin_lanes(const eng_x86_format *format, const eng_conv2d_s8_params *conv, bool single,
                                        uint32_t blocks, int32_t *lanes)
{
    const eng_x86_lane_packer packer = {.format = format,
                                        .conv = conv,
                                        .single = single,
                                        .tame = true,
                                        .quick = format->quick != NULL,
                                        .brief = true,
                                        .blocks = blocks,
                                        .lanes = lanes,
                                        .quick_lanes = lanes + (size_t)blocks * ENG_X86_LANE * format->lanes};
    return packer;
}

/* Where lane n's constants begin. */
static size_t place(const eng_x86_format *format, uint32_t n)
{
    return (size_t)(n / format->lanes) * ENG_X86_LANE * format->lanes + n % format->lanes;
}

void eng_x86_add_lane(eng_x86_lane_packer *packer, uint32_t n, uint32_t channel, const eng_x86_taps *taps, int32_t bias)
{
    const eng_x86_format *format = packer->format;
    const eng_conv2d_s8_params *conv = packer->conv;
    const eng_rescale *r = conv->rescale + (size_t)channel * conv->rescale_step;
    const uint32_t x_most = (uint32_t)(conv->zero_x < 0 ? 127 - conv->zero_x : 128 + conv->zero_x);
    int32_t sum = 0;
    uint64_t magnitude = 0;
    for (size_t k = 0; k < taps->count; ++k) {
        const int32_t w = taps->w[k * taps->step];
        sum += w;
        magnitude += (uint64_t)(w < 0 ? -w : w);
    }
    const uint64_t bound = magnitude * x_most + (uint64_t)(bias < 0 ? -(int64_t)bias : bias);
    bias = (int32_t)((uint32_t)bias - (uint32_t)sum * (uint32_t)(format->offset + conv->zero_x));
    const output o = {r, &conv->y, packer->single, bias, bound};
    int32_t *const exact = packer->lanes + place(format, n);
    exact[0] = bias;
    exact[format->lanes] = r->mult;
    exact[2 * format->lanes] = packer->single ? 31 - r->left + r->right : r->left;
    exact[3 * format->lanes] = r->right;
    exact[4 * format->lanes] = r->right == 0 ? 0 : INT32_C(1) << (r->right - 1);
    packer->tame = packer->tame && is_tame(&o);
    int32_t *const quick = packer->quick_lanes + place(format, n);
    packer->quick = packer->quick && packer->tame && write_quick(format, &o, quick);
    packer->brief = packer->brief && packer->quick && quick[FINE * format->lanes] == 0;
}

void eng_x86_repeat_lane(eng_x86_lane_packer *packer, uint32_t n, uint32_t same)
{
    const uint32_t lanes = packer->format->lanes;
    for (uint32_t i = 0; i < ENG_X86_LANE; ++i) {
        packer->lanes[place(packer->format, n) + i * lanes] = packer->lanes[place(packer->format, same) + i * lanes];
        packer->quick_lanes[place(packer->format, n) + i * lanes] =
            packer->quick_lanes[place(packer->format, same) + i * lanes];
    }
}

eng_x86_rounding eng_x86_end_lanes(eng_x86_lane_packer *packer, uint32_t used)
{
    const eng_x86_format *format = packer->format;
    if (packer->quick) {
        memcpy(packer->lanes, packer->quick_lanes, eng_x86_lanes_size(format, packer->blocks));
        return !packer->brief ? ENG_X86_QUICK : is_signed(&packer->conv->y) ? ENG_X86_BRIEF_SIGNED : ENG_X86_BRIEF;
    }
    for (uint32_t n = 0; n < packer->blocks * format->lanes; ++n) {
        int32_t *const left = packer->lanes + place(format, n) + 2 * (size_t)format->lanes;
        if (packer->single) { /* lanes without an output must still shift by 1 to 62 */
            *left = n < used ? *left : 31;
        } else if (packer->tame) {
            ++*left;
        }
    }
    return packer->single ? ENG_X86_SINGLE : packer->tame ? ENG_X86_TAME : ENG_X86_DOUBLE;
}
