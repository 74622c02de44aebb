/* SPDX-License-Identifier: Apache-2.0 */
/* Random records through eng_model_check; those that it accepts run in an arena of exactly their size. Built with the
 * sanitizers, this shows that the check lets nothing through that reads or writes out of bounds, overflows or divides by 0. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "eng.h"

#define ROUNDS  800000
#define WEIGHTS 4096 /* the most that shapes below can ask for: 4 * 4 * 16 inputs of 16 outputs */

static uint32_t state = 20;

static uint32_t any(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* 1 ... n, and now and then 0 or anything. */
static uint16_t size_up_to(uint32_t n)
{
    return (uint16_t)(any() % 64 == 0 ? any() % 3 * 32767 : 1 + any() % n);
}

/* Kernels, channels and outputs: never more than the weights hold. */
static uint16_t few(uint32_t n)
{
    return (uint16_t)(any() % 32 == 0 ? 0 : 1 + any() % n);
}

/* As many positions as fit without padding, if any do; now and then any number. */
static uint16_t positions(uint16_t in, uint16_t kernel, uint16_t stride, uint16_t dilation)
{
    const uint32_t extent = (uint32_t)(kernel - 1) * dilation + 1;
    const uint32_t fit = extent <= in && stride != 0 ? (in - extent) / stride + 1 : 0;
    return fit == 0 || any() % 8 == 0 ? size_up_to(6) : (uint16_t)fit;
}

static eng_window some_window(uint16_t in_h, uint16_t in_w)
{
    eng_window w = {in_h, in_w, 0, 0, few(4), few(4), size_up_to(3), size_up_to(3), size_up_to(2), size_up_to(2), 0, 0};
    w.out_h = positions(in_h, w.kernel_h, w.stride_h, w.dilation_h);
    w.out_w = positions(in_w, w.kernel_w, w.stride_w, w.dilation_w);
    w.pad_top = (uint16_t)(any() % 3);
    w.pad_left = (uint16_t)(any() % 16 == 0 ? any() : any() % 2);
    return w;
}

static eng_rescale some_rescale(void)
{
    const eng_rescale bad = {(int32_t)any(), (uint8_t)(any() % 40), (uint8_t)(any() % 40)};
    const eng_rescale good = {(int32_t)(UINT32_C(0x40000000) | (any() >> 2)), 0, (uint8_t)(any() % 32)};
    return any() % 32 == 0 ? bad : good;
}

static eng_ratio some_ratio(void)
{
    const eng_ratio bad = {any(), any()}, good = {any(), (UINT32_C(960) + any() % 70) << 20 | (any() & 0xfffff)};
    return any() % 32 == 0 ? bad : good;
}

static eng_output_s8 some_output(void)
{
    const eng_output_s8 y = {(int8_t)any(), (int8_t)(any() % 2 != 0 ? -128 : (int32_t)(any() % 256) - 128),
                             (int8_t)(any() % 128)};
    return y;
}

typedef union {
    eng_dense_s8_params dense;
    eng_dense_wide_s8_params dense_wide;
    eng_conv2d_s8_params conv;
    eng_conv2d_max_pool2d_s8_params fused;
    eng_pool2d_s8_params pool;
    eng_requantize_s8_params requantize;
    eng_softmax_s8_params softmax;
    eng_argmax_s8_params argmax;
    eng_quantize_params quantize;
    eng_add_s8_params add;
    eng_mul_s8_params mul;
    eng_mean_s8_params mean;
    eng_copy_s8_params copy;
    eng_pad_s8_params pad;
    eng_lookup_s8_params lookup;
} some_params;

static eng_conv2d_s8_params some_conv(const eng_rescale *rescale)
{
    const eng_conv2d_s8_params p = {some_window(size_up_to(7), size_up_to(7)),
                                    few(16),
                                    few(16),
                                    (int8_t)any(),
                                    (uint8_t)(any() % 2),
                                    some_output(),
                                    rescale};
    return p;
}

/* Mostly one that divides count. */
static eng_broadcast some_broadcast(uint32_t count)
{
    const eng_broadcast all = {count, 1}, one = {1, any() % 4 == 0 ? count : 1}, wild = {any() % 4, any() % 4};
    return any() % 16 == 0 ? wild : any() % 2 != 0 ? all : one;
}

static eng_rescale no_left(void)
{
    eng_rescale r = some_rescale();
    r.left = any() % 64 == 0 ? r.left : 0;
    return r;
}

static void fill_join(uint8_t op, some_params *p, uint32_t count)
{
    const eng_broadcast a = some_broadcast(count), b = some_broadcast(count);
    const int8_t zero = (int8_t)any(), zero2 = (int8_t)any();
    if (op == ENG_OP_MUL_S8) {
        p->mul = (eng_mul_s8_params){count, a, b, zero, zero2, some_rescale(), some_output()};
    } else {
        p->add = (eng_add_s8_params){count, a, b, zero, zero2, no_left(), no_left(), no_left(), some_output()};
    }
}

/* Kernels that move and reduce. */
static void fill_move(uint8_t op, some_params *p, uint32_t count, const int8_t *codes)
{
    const uint32_t wide = any() % 64 == 0 ? any() : 1 + any() % 40;
    switch (op) {
    case ENG_OP_MEAN_S8:
        p->mean = (eng_mean_s8_params){count, few(16), (int8_t)any(), some_rescale(), some_output()};
        break;
    case ENG_OP_COPY_S8:
        p->copy = (eng_copy_s8_params){count, 1 + any() % 40, wide, any() % 20};
        break;
    case ENG_OP_PAD_S8:
        p->pad = (eng_pad_s8_params){few(7), few(7), few(16), size_up_to(3), 0, size_up_to(3), 1, 0, few(3), (int8_t)any()};
        break;
    default:
        p->lookup = (eng_lookup_s8_params){count, any() % 64 == 0 ? NULL : codes};
    }
}

typedef struct {
    const eng_rescale *rescale;
    const eng_ratio *ratio;
    const int32_t *table;
    const int8_t *w;
} pointed;

static void fill(uint8_t op, some_params *p, const pointed *at)
{
    const uint32_t count = any() % 64 == 0 ? 0 : 1 + any() % 50;
    const float scale = (float)(any() % 1000) / 100.0f;
    switch (op) {
    case ENG_OP_DENSE_S8:
        p->dense = (eng_dense_s8_params){few(256), few(16), (uint8_t)(any() % 2), some_output(), at->rescale};
        break;
    case ENG_OP_DENSE_WIDE_S8:
        p->dense_wide =
            (eng_dense_wide_s8_params){size_up_to(4), few(256), few(16), (uint8_t)(any() % 2), some_output(), at->ratio};
        break;
    case ENG_OP_CONV2D_S8:
        p->conv = some_conv(at->rescale);
        break;
    case ENG_OP_DEPTHWISE_CONV2D_S8:
        p->conv = some_conv(at->rescale);
        p->conv.in_c = few(4);
        p->conv.out_c = (uint16_t)(any() % 16 == 0 ? few(16) : p->conv.in_c * few(4));
        break;
    case ENG_OP_ADD_S8:
    case ENG_OP_SUB_S8:
    case ENG_OP_MUL_S8:
        fill_join(op, p, count);
        break;
    case ENG_OP_MEAN_S8:
    case ENG_OP_COPY_S8:
    case ENG_OP_PAD_S8:
    case ENG_OP_LOOKUP_S8:
        fill_move(op, p, count, at->w);
        break;
    case ENG_OP_CONV2D_MAX_POOL2D_S8:
        p->fused.conv = some_conv(at->rescale);
        p->fused.pool = some_window(p->fused.conv.window.out_h, p->fused.conv.window.out_w);
        break;
    case ENG_OP_MAX_POOL2D_S8:
    case ENG_OP_AVERAGE_POOL2D_S8:
        p->pool = (eng_pool2d_s8_params){some_window(size_up_to(7), size_up_to(7)), few(16), (int8_t)any(), (int8_t)any()};
        break;
    case ENG_OP_REQUANTIZE_S8:
    case ENG_OP_REQUANTIZE_U8_S8:
    case ENG_OP_REQUANTIZE_S8_U8:
        p->requantize = (eng_requantize_s8_params){count, (int8_t)any(), some_rescale(), some_output()};
        break;
    case ENG_OP_SOFTMAX_S8:
        p->softmax = (eng_softmax_s8_params){count, few(600), few(256), at->table};
        break;
    case ENG_OP_ARGMAX_S8:
        p->argmax = (eng_argmax_s8_params){count, few(600)};
        break;
    default:
        p->quantize = (eng_quantize_params){count, scale, (int8_t)any()};
    }
}

/* Buffers mostly side by side in an arena of their size; sometimes anywhere. */
static void place(eng_layer *l, uint32_t *arena)
{
    const uint32_t x_size = eng_layer_x_size(l), x2_size = eng_layer_x2_size(l), y_size = eng_layer_y_size(l);
    const uint32_t limit = UINT32_C(1) << 20;
    l->x = 0;
    l->x2 = x_size < limit ? (x_size + 3) / 4 * 4 : 0;
    l->y = l->x2 + (x2_size < limit ? (x2_size + 3) / 4 * 4 : 0);
    *arena = y_size < limit ? l->y + y_size : limit;
    if (any() % 16 == 0) {
        l->y = any() % (*arena + 1);
    }
    if (any() % 16 == 0) {
        l->x2 = any() % (*arena + 1);
    }
    if (any() % 16 == 0) {
        l->x = any() % (*arena + 1);
    }
}

static uint32_t accepted[ENG_OP_COUNT];

static void run_one(const int8_t *w, const int32_t *bias, const int32_t *table)
{
    eng_rescale rescale[16];
    eng_ratio ratio[16];
    some_params p;
    memset(&p, 0, sizeof p);
    for (unsigned i = 0; i < 16; ++i) {
        rescale[i] = some_rescale();
        ratio[i] = some_ratio();
    }
    eng_layer layer = {(uint8_t)(any() % ENG_OP_COUNT), &p, w, bias, 0, 0, 0, 0};
    uint32_t bytes;
    const pointed at = {rescale, ratio, table, w};
    fill(layer.op, &p, &at);
    place(&layer, &bytes);
    const eng_model model = {&layer, 1, bytes};
    if (eng_model_check(&model, NULL) != ENG_OK) {
        return;
    }
    ++accepted[layer.op];
    uint8_t *arena = malloc(bytes);
    if (arena == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < bytes; ++i) {
        arena[i] = (uint8_t)any();
    }
    eng_model_run(&model, arena);
    free(arena);
}

int main(void)
{
    int8_t *w = malloc(WEIGHTS);
    int32_t *bias = malloc(16 * sizeof *bias);
    int32_t *table = malloc(256 * sizeof *table);
    if (w == NULL || bias == NULL || table == NULL) {
        abort();
    }
    for (unsigned i = 0; i < WEIGHTS; ++i) {
        w[i] = (int8_t)any();
    }
    for (unsigned i = 0; i < 16; ++i) {
        bias[i] = (int32_t)any() >> (any() % 20);
    }
    for (unsigned i = 0; i < 256; ++i) {
        table[i] = i == 0 ? INT32_MAX : (int32_t)(any() >> 1);
    }
    for (uint32_t i = 0; i < ROUNDS; ++i) {
        run_one(w, bias, table);
    }
    for (uint8_t op = 0; op < ENG_OP_COUNT; ++op) {
        printf("test_fuzz: operator %u: %lu of %lu records accepted\n", op, (unsigned long)accepted[op], (unsigned long)ROUNDS);
        CHECK_EQUAL(accepted[op] > ROUNDS / 2000, 1, op, 0);
        CHECK_EQUAL(accepted[op] < ROUNDS / 10, 1, op, 0);
    }
    free(w);
    free(bias);
    free(table);
    return check_finish("test_fuzz");
}
