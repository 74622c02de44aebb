/* SPDX-License-Identifier: Apache-2.0 */
/* Training gives the same bits on every machine: small networks are trained, and a checksum over all their weights is
 * compared with constants. Buffers are as large as they are declared and scratch is filled with NaN, for the sanitizers. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "eng.h"

/* Fletcher-like sum over the bits. */
static uint32_t checksum(const float *x, uint16_t n, uint32_t sum)
{
    for (uint16_t i = 0; i < n; ++i) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        sum = ((sum << 5) | (sum >> 27)) + bits;
    }
    return sum;
}

static void check_bits(uint32_t got, uint32_t want)
{
    CHECK_EQUAL(got >> 16, want >> 16, 0, (uint16_t)(got >> 16));
    CHECK_EQUAL(got & 0xFFFF, want & 0xFFFF, 1, (uint16_t)(got & 0xFFFF));
}

static void fill_nan(float *x, uint16_t n)
{
    for (uint16_t i = 0; i < n; ++i) {
        x[i] = (float)NAN;
    }
}

static void test_generator(void)
{
    eng_rng rng = {{1, 2, 3, 4}};
    CHECK(eng_rng_next(&rng) == 641);
    CHECK(eng_rng_next(&rng) == 1573767);
    CHECK(eng_rng_next(&rng) == UINT32_C(3222811527));
    float w[32];
    eng_rng_seed(&rng, 42);
    eng_init_uniform_f32(&rng, 16, eng_glorot_limit_f32(3, 5), w);
    eng_init_normal_f32(&rng, 16, eng_he_deviation_f32(7), w + 16);
    check_bits(checksum(w, 32, 0), UINT32_C(0xA78837DE));
}

static void test_exp_and_log(void)
{
    uint32_t sum = 0;
    for (int16_t i = -100; i <= 100; ++i) {
        const float y = eng_exp_f32((float)i * 0.875f);
        sum = checksum(&y, 1, sum);
    }
    for (uint16_t i = 1; i <= 200; ++i) {
        const float y = eng_log_f32((float)i * 0.03125f);
        sum = checksum(&y, 1, sum);
    }
    check_bits(sum, UINT32_C(0x897C46F8));
}

/* XOR with 2-4-2, softmax and cross-entropy, Adam: 60 epochs of one batch. */
static void test_dense_network(void)
{
    static const float x[8] = {0.0f, 0.0f, 0.0f, 1.0f, 1.0f, 0.0f, 1.0f, 1.0f};
    static const uint16_t label[4] = {0, 1, 1, 0};
    enum { HIDDEN = 4, W1 = 2 * HIDDEN, W2 = 2 * HIDDEN, COUNT = W1 + HIDDEN + W2 + 2 };
    float w[COUNT] = {0}, m[COUNT] = {0}, v[COUNT] = {0};
    float *const bias1 = w + W1, *const w2 = bias1 + HIDDEN, *const bias2 = w2 + W2;
    float hidden[4 * HIDDEN], dhidden[4 * HIDDEN], y[8], loss[4], scratch[W2];
    const eng_dense_f32_params first = {.batch = 4, .in = 2, .out = HIDDEN};
    const eng_dense_f32_params second = {.batch = 4, .in = HIDDEN, .out = 2};
    const eng_relu_f32_params relu = {.count = 4 * HIDDEN, .limit = (float)INFINITY};
    const eng_softmax_f32_params rows = {.rows = 4, .classes = 2};
    const eng_adam_f32_params adam = {.count = COUNT, .learning_rate = 0.05f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-7f};
    eng_rng rng;
    eng_rng_seed(&rng, 1);
    eng_init_uniform_f32(&rng, W1, eng_he_limit_f32(2), w);
    eng_init_uniform_f32(&rng, W2, eng_glorot_limit_f32(HIDDEN, 2), w2);
    CHECK(eng_dense_f32_scratch(&first) <= sizeof scratch && eng_dense_f32_scratch(&second) <= sizeof scratch);
    for (uint16_t t = 1; t <= 60; ++t) {
        float dw[COUNT] = {0};
        fill_nan(scratch, W2);
        eng_dense_f32(&first, x, w, bias1, hidden, scratch);
        eng_relu_f32(&relu, hidden, hidden);
        eng_dense_f32(&second, hidden, w2, bias2, y, scratch);
        eng_softmax_cross_entropy_f32(&rows, y, label, loss, y);
        eng_dense_f32_backward(&second, hidden, w2, y, dw + W1 + HIDDEN, dw + W1 + HIDDEN + W2, dhidden);
        eng_relu_f32_backward(&relu, hidden, dhidden, dhidden);
        eng_dense_f32_backward(&first, x, w, dhidden, dw, dw + W1, NULL);
        eng_adam_f32(&adam, t, dw, w, m, v);
    }
    CHECK(loss[0] < 0.5f && loss[1] < 0.5f && loss[2] < 0.5f && loss[3] < 0.5f);
    check_bits(checksum(w, COUNT, 0), UINT32_C(0xA8BE9B0E));
}

enum { IN_C = 2, OUT_C = 3, IMAGE = 6 * 5 * IN_C, MAP = 3 * 5 * OUT_C, POOLED = 2 * 3 * OUT_C, WEIGHTS = OUT_C * 2 * 3 * IN_C };

/* Stride, dilation and padding at once, two images. */
static const eng_conv2d_f32_params conv = {
    .batch = 2,
    .window = {.in_h = 6,
               .in_w = 5,
               .out_h = 3,
               .out_w = 5,
               .kernel_h = 2,
               .kernel_w = 3,
               .stride_h = 2,
               .stride_w = 1,
               .dilation_h = 1,
               .dilation_w = 2,
               .pad_top = 0,
               .pad_left = 2},
    .in_c = IN_C,
    .out_c = OUT_C,
};
static const eng_pool2d_f32_params pool = {
    .batch = 2,
    .window = {.in_h = 3,
               .in_w = 5,
               .out_h = 2,
               .out_w = 3,
               .kernel_h = 2,
               .kernel_w = 2,
               .stride_h = 2,
               .stride_w = 2,
               .dilation_h = 1,
               .dilation_w = 1,
               .pad_top = 0,
               .pad_left = 0},
    .channels = OUT_C,
};

/* Steps of SGD with momentum on convolution, max pool and MSE; returns the checksum of weights and of the last dx. */
static uint32_t train_conv2d(uint8_t average)
{
    static float x[2 * IMAGE], dx[2 * IMAGE], y[2 * MAP], dy[2 * MAP], out[2 * POOLED], target[2 * POOLED], loss[2];
    static float w[WEIGHTS + OUT_C], velocity[WEIGHTS + OUT_C], scratch[2 * 5 * 2 * 3 * IN_C];
    static uint32_t index[2 * POOLED];
    const eng_mse_f32_params mse = {.rows = 2, .cols = POOLED};
    const eng_sgd_f32_params sgd = {.count = WEIGHTS + OUT_C, .learning_rate = 0.05f, .momentum = 0.75f};
    eng_rng rng;
    eng_rng_seed(&rng, 8);
    eng_init_uniform_f32(&rng, 2 * IMAGE, 1.0f, x);
    eng_init_uniform_f32(&rng, 2 * POOLED, 1.0f, target);
    eng_init_normal_f32(&rng, WEIGHTS, eng_he_deviation_f32(2 * 3 * IN_C), w);
    memset(w + WEIGHTS, 0, OUT_C * sizeof *w);
    memset(velocity, 0, sizeof velocity);
    CHECK(eng_conv2d_f32_scratch(&conv) <= sizeof scratch && eng_conv2d_f32_backward_scratch(&conv) <= sizeof scratch);
    for (uint16_t t = 0; t < 5; ++t) {
        float dw[WEIGHTS + OUT_C] = {0};
        fill_nan(scratch, sizeof scratch / sizeof *scratch);
        eng_conv2d_f32(&conv, x, w, w + WEIGHTS, y, scratch);
        if (average) {
            eng_average_pool2d_f32(&pool, y, out);
        } else {
            eng_max_pool2d_f32(&pool, y, out, index);
        }
        eng_mse_f32(&mse, out, target, loss, out);
        if (average) {
            eng_average_pool2d_f32_backward(&pool, out, dy);
        } else {
            eng_max_pool2d_f32_backward(&pool, index, out, dy);
        }
        eng_conv2d_f32_backward(&conv, x, w, dy, dw, dw + WEIGHTS, dx, scratch);
        eng_sgd_f32(&sgd, dw, w, velocity);
    }
    return checksum(dx, 2 * IMAGE, checksum(w, WEIGHTS + OUT_C, 0));
}

int main(void)
{
    test_generator();
    test_exp_and_log();
    test_dense_network();
    check_bits(train_conv2d(0), UINT32_C(0x84BFA157));
    check_bits(train_conv2d(1), UINT32_C(0xBD83CAB8));
    return check_finish("test_train");
}
