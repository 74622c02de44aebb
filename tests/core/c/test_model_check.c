/* SPDX-License-Identifier: Apache-2.0 */
/* eng_model_check on sound records, and on records with one thing wrong each. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "eng.h"

#define RATIO {INT32_C(1) << 30, 0, 3}
#define PLAIN {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0}

static const eng_rescale ratio[2] = {RATIO, RATIO};
static const int8_t w[64] = {127, -128, 3};
static const int32_t bias[3] = {5, -5, 0};
static const int32_t table[3] = {INT32_MAX, 1000, 0};
static const eng_output_s8 any = {0, -128, 127};

static const eng_window pool = {4, 5, 2, 2, 2, 2, 2, 2, 1, 1, 0, 0};

static const eng_dense_s8_params dense = {7, 2, 1, {0, -128, 127}, ratio};
static const eng_conv2d_s8_params conv = {{6, 7, 4, 5, 3, 3, 1, 1, 1, 1, 0, 0}, 3, 2, -3, 1, {0, -128, 127}, ratio};
static const eng_ratio half[2] = {{0, 0x3fe00000}, {0, 0}};
static const eng_dense_wide_s8_params wide = {3, 7, 2, 1, {0, -128, 127}, half};
static const eng_pool2d_s8_params pooling = {{6, 7, 4, 5, 3, 3, 1, 1, 1, 1, 0, 0}, 3, -128, 127};
static const eng_requantize_s8_params requantize = {9, 0, RATIO, {0, 0, 127}};
static const eng_softmax_s8_params softmax = {2, 5, 3, table};
static const eng_argmax_s8_params argmax = {2, 5};
static const eng_quantize_params quantize = {6, 0.5f, 3};

/* The status of a copy of `params` whose `member` is `value`. */
#define EXPECT(op, type, params, member, value, want)                                                                          \
    do {                                                                                                                       \
        type copy = params;                                                                                                    \
        copy.member = value;                                                                                                   \
        CHECK_EQUAL(eng_params_check(op, &copy, w, bias), want, op, 0);                                                        \
    } while (0)

static eng_conv2d_max_pool2d_s8_params fused(void)
{
    const eng_conv2d_max_pool2d_s8_params p = {conv, pool};
    return p;
}

static void check_sound_records(void)
{
    const eng_conv2d_max_pool2d_s8_params both = fused();
    CHECK(eng_params_check(ENG_OP_DENSE_S8, &dense, w, bias) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_DENSE_WIDE_S8, &wide, w, bias) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_CONV2D_S8, &conv, w, bias) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_CONV2D_MAX_POOL2D_S8, &both, w, bias) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_MAX_POOL2D_S8, &pooling, NULL, NULL) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_AVERAGE_POOL2D_S8, &pooling, NULL, NULL) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_REQUANTIZE_S8, &requantize, NULL, NULL) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_SOFTMAX_S8, &softmax, NULL, NULL) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_ARGMAX_S8, &argmax, NULL, NULL) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_QUANTIZE_F32_S8, &quantize, NULL, NULL) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_DEQUANTIZE_S8_F32, &quantize, NULL, NULL) == ENG_OK);
}

static void check_pointers(void)
{
    CHECK(eng_params_check(ENG_OP_COUNT, &dense, w, bias) == ENG_ERR_OP);
    CHECK(eng_params_check(255, &dense, w, bias) == ENG_ERR_OP);
    CHECK(eng_params_check(ENG_OP_DENSE_S8, NULL, w, bias) == ENG_ERR_NULL);
    CHECK(eng_params_check(ENG_OP_DENSE_S8, &dense, NULL, bias) == ENG_ERR_NULL);
    CHECK(eng_params_check(ENG_OP_CONV2D_S8, &conv, w, NULL) == ENG_ERR_NULL);
    EXPECT(ENG_OP_DENSE_S8, eng_dense_s8_params, dense, rescale, NULL, ENG_ERR_NULL);
    EXPECT(ENG_OP_SOFTMAX_S8, eng_softmax_s8_params, softmax, table, NULL, ENG_ERR_NULL);
    CHECK(eng_params_check(ENG_OP_DENSE_WIDE_S8, &wide, NULL, bias) == ENG_ERR_NULL);
    EXPECT(ENG_OP_DENSE_WIDE_S8, eng_dense_wide_s8_params, wide, ratio, NULL, ENG_ERR_NULL);
#ifndef __AVR__ /* where nothing needs alignment */
    const void *const odd_bias = (const int8_t *)bias + 1;
    const void *const odd_ratio = (const int8_t *)ratio + 2;
    CHECK(eng_params_check(ENG_OP_DENSE_S8, &dense, w, odd_bias) == ENG_ERR_ALIGN);
    CHECK(eng_params_check(ENG_OP_DENSE_S8, (const int8_t *)&dense + 1, w, bias) == ENG_ERR_ALIGN);
    EXPECT(ENG_OP_DENSE_S8, eng_dense_s8_params, dense, rescale, odd_ratio, ENG_ERR_ALIGN);
    EXPECT(ENG_OP_SOFTMAX_S8, eng_softmax_s8_params, softmax, table, odd_ratio, ENG_ERR_ALIGN);
#endif
}

static void check_shapes(void)
{
    EXPECT(ENG_OP_DENSE_S8, eng_dense_s8_params, dense, in, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_DENSE_S8, eng_dense_s8_params, dense, out, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_DENSE_WIDE_S8, eng_dense_wide_s8_params, wide, rows, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_DENSE_WIDE_S8, eng_dense_wide_s8_params, wide, in, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_DENSE_WIDE_S8, eng_dense_wide_s8_params, wide, out, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_CONV2D_S8, eng_conv2d_s8_params, conv, in_c, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_CONV2D_S8, eng_conv2d_s8_params, conv, out_c, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_CONV2D_S8, eng_conv2d_s8_params, conv, in_c, 21846, ENG_ERR_SHAPE); /* a row of 3 * 21846 = 65538 taps */
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, channels, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_REQUANTIZE_S8, eng_requantize_s8_params, requantize, count, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_SOFTMAX_S8, eng_softmax_s8_params, softmax, rows, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_SOFTMAX_S8, eng_softmax_s8_params, softmax, size, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_SOFTMAX_S8, eng_softmax_s8_params, softmax, size, 4096, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_SOFTMAX_S8, eng_softmax_s8_params, softmax, table_size, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_SOFTMAX_S8, eng_softmax_s8_params, softmax, table_size, 257, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_ARGMAX_S8, eng_argmax_s8_params, argmax, rows, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_ARGMAX_S8, eng_argmax_s8_params, argmax, size, 0, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_QUANTIZE_F32_S8, eng_quantize_params, quantize, count, 0, ENG_ERR_SHAPE);
}

/* Every field of a window that must not be zero, windows past the image, and taps that all lie in the padding. */
static void check_windows(void)
{
    for (uint8_t i = 0; i < 10; ++i) {
        eng_pool2d_s8_params p = pooling;
        uint16_t fields[12];
        memcpy(fields, &p.window, sizeof fields);
        fields[i] = 0;
        memcpy(&p.window, fields, sizeof fields);
        CHECK_EQUAL(eng_params_check(ENG_OP_MAX_POOL2D_S8, &p, NULL, NULL), ENG_ERR_SHAPE, i, 0);
    }
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, window.out_h, 6, ENG_OK);
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, window.out_h, 7, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, window.out_w, 65535, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, window.stride_h, 65535, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, window.pad_top, 2, ENG_OK);
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, window.pad_top, 3, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, window.pad_left, 65535, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, window.dilation_h, 32767, ENG_OK);
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, window.dilation_h, 32768, ENG_ERR_SHAPE);
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, window.kernel_h, 65535, ENG_OK);
    eng_pool2d_s8_params p = {PLAIN, 1, 0, 0};
    p.window.kernel_h = p.window.kernel_w = 4096;
    CHECK(eng_params_check(ENG_OP_AVERAGE_POOL2D_S8, &p, NULL, NULL) == ENG_ERR_OVERFLOW);
    eng_conv2d_max_pool2d_s8_params both = fused();
    both.pool.in_h = 5;
    CHECK(eng_params_check(ENG_OP_CONV2D_MAX_POOL2D_S8, &both, w, bias) == ENG_ERR_SHAPE);
    both = fused();
    both.conv.window.out_w = 4;
    CHECK(eng_params_check(ENG_OP_CONV2D_MAX_POOL2D_S8, &both, w, bias) == ENG_ERR_SHAPE);
}

static void check_ranges(void)
{
    static const eng_rescale bad[] = {{1, 0, 0},
                                      {(INT32_C(1) << 30) - 1, 0, 0},
                                      {-1, 0, 0},
                                      {INT32_MIN, 0, 0},
                                      {INT32_C(1) << 30, 31, 0},
                                      {INT32_C(1) << 30, 0, 32},
                                      {INT32_C(1) << 30, 1, 1}};
    for (uint8_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        const eng_rescale pair[2] = {ratio[0], bad[i]};
        EXPECT(ENG_OP_REQUANTIZE_S8, eng_requantize_s8_params, requantize, rescale, bad[i], ENG_ERR_RANGE);
        EXPECT(ENG_OP_DENSE_S8, eng_dense_s8_params, dense, rescale, pair, ENG_ERR_RANGE);
    }
    static const eng_ratio no_ratio[] = {{1, 0}, {0, 0x000fffff}, {0, 0x7ff00000}, {0, 0x80000000}, {0, 0xbfe00000}};
    for (uint8_t i = 0; i < sizeof no_ratio / sizeof no_ratio[0]; ++i) {
        const eng_ratio pair[2] = {half[0], no_ratio[i]};
        EXPECT(ENG_OP_DENSE_WIDE_S8, eng_dense_wide_s8_params, wide, ratio, pair, ENG_ERR_RANGE);
    }
    EXPECT(ENG_OP_DENSE_WIDE_S8, eng_dense_wide_s8_params, wide, ratio_step, 2, ENG_ERR_RANGE);
    EXPECT(ENG_OP_DENSE_S8, eng_dense_s8_params, dense, rescale_step, 2, ENG_ERR_RANGE);
    EXPECT(ENG_OP_DENSE_S8, eng_dense_s8_params, dense, y.lo, 127, ENG_OK);
    EXPECT(ENG_OP_CONV2D_S8, eng_conv2d_s8_params, conv, y.hi, -128, ENG_OK);
    EXPECT(ENG_OP_REQUANTIZE_S8, eng_requantize_s8_params, requantize, y.hi, -1, ENG_ERR_RANGE);
    EXPECT(ENG_OP_MAX_POOL2D_S8, eng_pool2d_s8_params, pooling, hi, -128, ENG_OK);
    eng_pool2d_s8_params p = pooling;
    p.lo = 1;
    p.hi = 0;
    CHECK(eng_params_check(ENG_OP_AVERAGE_POOL2D_S8, &p, NULL, NULL) == ENG_ERR_RANGE);
    static const int32_t tables[2][3] = {{INT32_MAX, 0, -1}, {INT32_MAX - 1, 0, 0}};
    EXPECT(ENG_OP_SOFTMAX_S8, eng_softmax_s8_params, softmax, table, tables[0], ENG_ERR_RANGE);
    EXPECT(ENG_OP_SOFTMAX_S8, eng_softmax_s8_params, softmax, table, tables[1], ENG_ERR_RANGE);
    EXPECT(ENG_OP_QUANTIZE_F32_S8, eng_quantize_params, quantize, scale, 0.0f, ENG_ERR_RANGE);
    EXPECT(ENG_OP_QUANTIZE_F32_S8, eng_quantize_params, quantize, scale, -1.0f, ENG_ERR_RANGE);
    EXPECT(ENG_OP_DEQUANTIZE_S8_F32, eng_quantize_params, quantize, scale, (float)INFINITY, ENG_ERR_RANGE);
    EXPECT(ENG_OP_DEQUANTIZE_S8_F32, eng_quantize_params, quantize, scale, (float)NAN, ENG_ERR_RANGE);
}

/* One weight of 127: 128 * 127 = 16256 beside the bias. The bound is exact to the last unit. */
static void check_accumulators(void)
{
    const eng_dense_s8_params p = {1, 1, 0, any, ratio};
    const eng_conv2d_s8_params c = {PLAIN, 1, 1, -128, 0, any, ratio}; /* |x - zero_x| <= 255: 32385 */
    const int32_t most = INT32_MAX - INT32_C(16256), most_c = INT32_MAX - INT32_C(32385);
    const int32_t more = most + 1, more_c = most_c + 1, less = -most, too_low = -more, lowest = INT32_MIN;
    CHECK(eng_params_check(ENG_OP_DENSE_S8, &p, w, &most) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_DENSE_S8, &p, w, &less) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_DENSE_S8, &p, w, &more) == ENG_ERR_OVERFLOW);
    CHECK(eng_params_check(ENG_OP_DENSE_S8, &p, w, &too_low) == ENG_ERR_OVERFLOW);
    CHECK(eng_params_check(ENG_OP_DENSE_S8, &p, w, &lowest) == ENG_ERR_OVERFLOW);
    CHECK(eng_params_check(ENG_OP_CONV2D_S8, &c, w, &most_c) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_CONV2D_S8, &c, w, &more_c) == ENG_ERR_OVERFLOW);
    /* Fused: the accumulator must also survive the left shift. 32385 + bias < 2^31 / 2^10 */
    const eng_rescale left = {INT32_C(1) << 30, 10, 0};
    eng_conv2d_max_pool2d_s8_params both = {c, PLAIN};
    both.conv.rescale = &left;
    const int32_t fits = (INT32_C(1) << 21) - 1 - 32385, spills = fits + 1;
    CHECK(eng_params_check(ENG_OP_CONV2D_MAX_POOL2D_S8, &both, w, &fits) == ENG_OK);
    CHECK(eng_params_check(ENG_OP_CONV2D_MAX_POOL2D_S8, &both, w, &spills) == ENG_ERR_OVERFLOW);
    CHECK(eng_params_check(ENG_OP_CONV2D_S8, &both.conv, w, &spills) == ENG_OK);
}

static eng_status buffers(uint8_t op, const void *params, uint32_t x, uint32_t y, uint32_t arena)
{
    const eng_layer layer = {op, params, w, bias, x, 0, y, 0};
    const eng_model model = {&layer, 1, arena};
    return eng_model_check(&model, NULL);
}

static void check_buffers(void)
{
    CHECK(buffers(ENG_OP_DENSE_S8, &dense, 0, 7, 9) == ENG_OK);
    CHECK(buffers(ENG_OP_DENSE_S8, &dense, 2, 0, 9) == ENG_OK);
    CHECK(buffers(ENG_OP_DENSE_S8, &dense, 0, 7, 8) == ENG_ERR_ARENA);
    CHECK(buffers(ENG_OP_DENSE_S8, &dense, 3, 0, 9) == ENG_ERR_ARENA);
    CHECK(buffers(ENG_OP_DENSE_S8, &dense, UINT32_MAX - 6, 0, 100) == ENG_ERR_ARENA);
    CHECK(buffers(ENG_OP_DENSE_S8, &dense, 0, UINT32_MAX, UINT32_MAX) == ENG_ERR_ARENA);
    CHECK(buffers(ENG_OP_DENSE_S8, &dense, 0, 6, 100) == ENG_ERR_OVERLAP);
    CHECK(buffers(ENG_OP_DENSE_S8, &dense, 1, 0, 100) == ENG_ERR_OVERLAP);
    CHECK(buffers(ENG_OP_DENSE_S8, &dense, 0, 0, 100) == ENG_ERR_OVERLAP);
    CHECK(buffers(ENG_OP_REQUANTIZE_S8, &requantize, 4, 4, 13) == ENG_OK);
    CHECK(buffers(ENG_OP_REQUANTIZE_S8, &requantize, 4, 5, 100) == ENG_ERR_OVERLAP);
    CHECK(buffers(ENG_OP_SOFTMAX_S8, &softmax, 0, 0, 10) == ENG_OK);
    CHECK(buffers(ENG_OP_SOFTMAX_S8, &softmax, 1, 0, 100) == ENG_ERR_OVERLAP);
    CHECK(buffers(ENG_OP_ARGMAX_S8, &argmax, 8, 0, 18) == ENG_OK);
    CHECK(buffers(ENG_OP_ARGMAX_S8, &argmax, 0, 11, 100) == ENG_ERR_ALIGN);
    CHECK(buffers(ENG_OP_QUANTIZE_F32_S8, &quantize, 0, 24, 30) == ENG_OK);
    CHECK(buffers(ENG_OP_QUANTIZE_F32_S8, &quantize, 2, 26, 100) == ENG_ERR_ALIGN);
    CHECK(buffers(ENG_OP_DEQUANTIZE_S8_F32, &quantize, 0, 6, 100) == ENG_ERR_ALIGN);
    CHECK(buffers(ENG_OP_DEQUANTIZE_S8_F32, &quantize, 24, 0, 30) == ENG_OK);
    /* Sizes beyond 32 bits: a map of 65535 x 65535 x 65535 that a small sum modulo 2^32 would let through. */
    eng_pool2d_s8_params huge = {{65535, 65535, 65535, 65535, 1, 1, 1, 1, 1, 1, 0, 0}, 65535, -128, 127};
    CHECK(buffers(ENG_OP_MAX_POOL2D_S8, &huge, 0, 0, UINT32_MAX) == ENG_ERR_ARENA);
    const eng_layer layer = {ENG_OP_MAX_POOL2D_S8, &huge, NULL, NULL, 0, 0, 0, 0};
    CHECK(eng_layer_x_size(&layer) == UINT32_MAX && eng_layer_y_size(&layer) == UINT32_MAX);
    eng_softmax_s8_params rows = softmax;
    rows.rows = UINT32_MAX;
    CHECK(buffers(ENG_OP_SOFTMAX_S8, &rows, 0, 0, UINT32_MAX) == ENG_ERR_ARENA);
    eng_quantize_params many = quantize;
    many.count = (UINT32_C(1) << 30) + 1; /* 4 * count = 4 modulo 2^32 */
    CHECK(buffers(ENG_OP_QUANTIZE_F32_S8, &many, 0, 8, UINT32_MAX) == ENG_ERR_ARENA);
}

static void check_models(void)
{
    const eng_layer layers[3] = {{ENG_OP_REQUANTIZE_S8, &requantize, NULL, NULL, 0, 0, 0, 0},
                                 {ENG_OP_REQUANTIZE_S8, &requantize, NULL, NULL, 0, 0, 9, 0},
                                 {ENG_OP_REQUANTIZE_S8, NULL, NULL, NULL, 0, 0, 0, 0}};
    const eng_model two = {layers, 2, 18}, three = {layers, 3, 18}, none = {NULL, 0, 0}, missing = {NULL, 1, 0};
    uint16_t where = 9;
    CHECK(eng_model_check(NULL, &where) == ENG_ERR_NULL);
    CHECK(eng_model_check(&missing, NULL) == ENG_ERR_NULL);
    CHECK(eng_model_check(&none, &where) == ENG_OK);
    CHECK(eng_model_check(&two, &where) == ENG_OK && where == 0);
    CHECK(eng_model_check(&three, &where) == ENG_ERR_NULL && where == 2);
    CHECK(eng_layer_x_size(&layers[2]) == 0 && eng_layer_y_size(&layers[2]) == 0);
    CHECK(eng_layer_scratch_size(&layers[0]) == 0);
    const eng_layer unknown = {200, &requantize, NULL, NULL, 0, 0, 0, 0};
    CHECK(eng_layer_x_size(&unknown) == 0 && eng_layer_y_size(&unknown) == 0);
}

int main(void)
{
    check_sound_records();
    check_pointers();
    check_shapes();
    check_windows();
    check_ranges();
    check_accumulators();
    check_buffers();
    check_models();
    return check_finish("test_model_check");
}
