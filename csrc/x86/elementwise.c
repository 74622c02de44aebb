/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "elementwise.h"

#define ROW 16 /* codes that one shuffle looks up */

/* Windows whose sums and counts are exact in float. */
#define MOST_TAPS (UINT32_C(1) << 15)

bool eng_is_table(const eng_layer *l)
{
    return l->op == ENG_OP_REQUANTIZE_S8 || l->op == ENG_OP_REQUANTIZE_U8_S8 || l->op == ENG_OP_REQUANTIZE_S8_U8 ||
           l->op == ENG_OP_LOOKUP_S8;
}

/* The portable kernel on every code. */
static void fill_table(const eng_layer *l, uint8_t *codes)
{
    union {
        eng_requantize_s8_params requantize;
        eng_lookup_s8_params lookup;
    } all;
    for (uint32_t i = 0; i < ENG_X86_CODES; ++i) {
        codes[i] = (uint8_t)i;
    }
    if (l->op == ENG_OP_LOOKUP_S8) {
        all.lookup = *(const eng_lookup_s8_params *)l->params;
        all.lookup.count = ENG_X86_CODES;
    } else {
        all.requantize = *(const eng_requantize_s8_params *)l->params;
        all.requantize.count = ENG_X86_CODES;
    }
    const eng_layer every = {.op = l->op, .params = &all};
    eng_layer_run(&every, codes); /* all of them may work in place */
}

static void pack_table(const eng_layer *l, eng_x86_table *table)
{
    fill_table(l, table->plain);
    for (uint32_t i = 0; i < ENG_X86_CODES; ++i) {
        const bool first = i % (ENG_X86_CODES / 2) < ROW;
        table->steps[i] = (uint8_t)(table->plain[i] ^ (first ? 0 : table->plain[i - ROW]));
    }
}

void eng_portable_table(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    const eng_x86_table *const table = packed;
    const uint8_t *const x = arena + l->x;
    uint8_t *const y = arena + l->y;
    const uint32_t count = eng_layer_x_size(l);
    (void)scratch;
    for (uint32_t i = 0; i < count; ++i) {
        y[i] = table->plain[x[i]];
    }
}

/* As a real number; exact. */
static double ratio_of(const eng_rescale *r)
{
    return (double)r->mult / (double)(INT64_C(1) << (31 + r->right - r->left));
}

/* To nearest; |v| < 2^31. */
static int32_t rounded(double v)
{
    return (int32_t)(v < 0.0 ? v - 0.5 : v + 0.5);
}

uint32_t eng_x86_farthest(int8_t zero)
{
    return (uint32_t)(zero < 0 ? 127 - zero : 128 + zero);
}

/* How y is read off u, which is within `error` (at least 1) of 2^shift * (real result + 1/2): `doubtful` masks what u has
 * above 2^bits, 2^bits >= 2 * error, after `error` has been added. False if less than one in sixteen values of u is beyond
 * doubt. */
static bool settle(eng_x86_pair *pair, const eng_output_s8 *y, double error, uint32_t *margin)
{
    uint8_t bits = 1;
    while ((double)(INT32_C(1) << bits) < 2.0 * error && bits < pair->shift) {
        ++bits;
    }
    if (bits + 4 > pair->shift) {
        return false;
    }
    *margin = UINT32_C(1) << (bits - 1);
    pair->doubtful = (UINT32_C(1) << pair->shift) - (UINT32_C(1) << bits);
    pair->lo = y->lo;
    pair->hi = y->hi;
    return true;
}

/* Largest shift <= 24 at which results of at most `most` stay inside int32. */
static uint8_t shift_for(double most)
{
    uint8_t shift = 24;
    while (shift > 0 && (most + 260.0) * (double)(INT32_C(1) << shift) >= 2147483648.0) {
        --shift;
    }
    return shift;
}

/* 2^shift * (zero + 1/2) */
static uint32_t half_above(const eng_output_s8 *y, uint8_t shift)
{
    return ((uint32_t)y->zero << shift) + (UINT32_C(1) << (shift - 1));
}

/* Real result: r d + r2 d2 + zero_y, d = x - zero_x. The kernel's three roundings shift it by at most 2.5 / 2^right before the
 * last one: half a unit and 1/2 of each operand's, then 1/2 of the product, over 2^right. Rounding r and r2 to 2^-shift adds
 * |d| / 2 + |d2| / 2 units of u. */
static bool plan_add(const eng_add_s8_params *p, int32_t sign, eng_x86_pair *pair)
{
    const double last = ratio_of(&p->rescale_y) * (double)(INT32_C(1) << ENG_ADD_SHIFT);
    const double r = ratio_of(&p->rescale_x) * last, r2 = ratio_of(&p->rescale_x2) * last;
    const double d = eng_x86_farthest(p->zero_x), d2 = eng_x86_farthest(p->zero_x2);
    const uint32_t zero = (uint32_t)p->zero_x, zero2 = (uint32_t)p->zero_x2;
    uint32_t margin;
    pair->shift = shift_for(r * d + r2 * d2);
    const double unit = (double)(INT32_C(1) << pair->shift);
    const double moved = 2.5 * unit / (double)(INT64_C(1) << p->rescale_y.right);
    if (!settle(pair, &p->y, d / 2 + d2 / 2 + moved + 2.0, &margin)) {
        return false;
    }
    pair->m = (uint32_t)rounded(r * unit);
    pair->m2 = (uint32_t)(sign * rounded(r2 * unit));
    pair->c = half_above(&p->y, pair->shift) + margin - pair->m * zero - pair->m2 * zero2;
    return true;
}

size_t eng_x86_room(const eng_broadcast *b, uint32_t count)
{
    if (b->size == count) {
        return 0;
    }
    return b->repeat == 1 ? (size_t)b->size + ENG_X86_GROUP : ENG_X86_GROUP;
}

bool eng_x86_pair_plan(const eng_layer *l, eng_x86_pair *pair)
{
    memset(pair, 0, sizeof *pair);
    const eng_add_s8_params *p = l->params;
    pair->room = eng_x86_room(&p->x, p->count) + eng_x86_room(&p->x2, p->count);
    return plan_add(p, l->op == ENG_OP_SUB_S8 ? -1 : 1, pair);
}

/* Rows of sums, or of codes, and of the result, each with what a group may write beyond. */
static bool plan_pool(const eng_layer *l, size_t *scratch)
{
    const eng_pool2d_s8_params *p = l->params;
    const size_t sum = l->op == ENG_OP_AVERAGE_POOL2D_S8 ? sizeof(int32_t) : 1;
    const size_t row = (size_t)p->window.in_w * p->channels + ENG_X86_GROUP, all = (size_t)p->channels + ENG_X86_SUMS;
    const size_t tall = sum > 1 && all > row ? all : row;
    const size_t wide = (size_t)p->window.out_w * p->channels + ENG_X86_GROUP;
    *scratch = tall * sum + wide;
    return sum == 1 || (uint32_t)p->window.kernel_h * p->window.kernel_w <= MOST_TAPS;
}

bool eng_x86_elementwise_plan(const eng_layer *l, size_t *packed, size_t *scratch)
{
    eng_x86_pair pair;
    *packed = 0;
    *scratch = 0;
    switch (l->op) {
    case ENG_OP_ADD_S8:
    case ENG_OP_SUB_S8:
        *packed = sizeof pair;
        if (!eng_x86_pair_plan(l, &pair)) {
            return false;
        }
        *scratch = pair.room;
        return true;
    case ENG_OP_MUL_S8:
        return false; /* mul.h */
    case ENG_OP_MAX_POOL2D_S8:
    case ENG_OP_AVERAGE_POOL2D_S8:
        return plan_pool(l, scratch);
    case ENG_OP_MEAN_S8:
        *scratch = ((size_t)((const eng_mean_s8_params *)l->params)->channels + ENG_X86_SUMS) * sizeof(int32_t);
        return true;
    default:
        *packed = eng_is_table(l) ? sizeof(eng_x86_table) : 0;
        return true;
    }
}

void eng_x86_elementwise_pack(const eng_layer *l, void *packed)
{
    if (eng_is_table(l)) {
        pack_table(l, packed);
    } else if (l->op == ENG_OP_ADD_S8 || l->op == ENG_OP_SUB_S8) {
        (void)eng_x86_pair_plan(l, packed);
    }
}
