/* SPDX-License-Identifier: Apache-2.0 */
/* The training twins of one instruction set against the portable kernels, bit for bit, on random ragged shapes.
 *   test_train_twins ISA SEED ROUNDS, with ISA as in eng_isa: one that this processor has. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eng/random.h"
#include "eng/train_kernels.h"

static eng_rng rng;
static const char *shape_text = "";

static uint16_t draw(uint16_t low, uint16_t high)
{
    return (uint16_t)(low + eng_rng_below(&rng, (uint32_t)(high - low + 1)));
}

/* Values in [-1, 1), exact in half if asked; now and then a zero, rarely something that is not finite. */
static float *values(size_t count, int half)
{
    float *x = malloc((count + 1) * sizeof *x);
    const int wild = draw(0, 19) == 0;
    for (size_t i = 0; i < count; ++i) {
        x[i] = 2.0f * eng_rng_uniform_f32(&rng) - 1.0f;
        if (draw(0, 15) == 0) {
            x[i] = 0.0f;
        } else if (wild && draw(0, 63) == 0) {
            x[i] = draw(0, 1) ? (float)NAN : (float)INFINITY;
        }
        x[i] = half ? eng_nearest_f16(x[i]) : x[i];
    }
    return x;
}

static float *copy_of(const float *x, size_t count)
{
    float *y = malloc((count + 1) * sizeof *y);
    memcpy(y, x, count * sizeof *y);
    return y;
}

static int same(float a, float b)
{
    return (a != a && b != b) || memcmp(&a, &b, sizeof a) == 0;
}

static void check(const char *what, const float *want, const float *got, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        if (!same(want[i], got[i])) {
            printf("%s %s: element %zu is %a, expected %a\n", what, shape_text, i, (double)got[i], (double)want[i]);
            exit(1);
        }
    }
}

static const char *describe(const char *format, const unsigned *numbers)
{
    static char text[200];
    snprintf(text, sizeof text, format, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]);
    return text;
}

static void test_matmul(const eng_products_kernels *want, const eng_products_kernels *got, int half)
{
    const size_t rows = draw(1, 19), cols = draw(1, 70), steps = draw(1, 30);
    const int across = draw(0, 1);
    const eng_matmul_f32_params p = {
        .rows = rows,
        .cols = cols,
        .steps = steps,
        .a_row = across ? 1 : steps,
        .a_step = across ? rows : 1,
        .b_step = cols,
        .c_row = cols,
    };
    shape_text = describe("%ux%ux%u", (unsigned[7]){(unsigned)rows, (unsigned)cols, (unsigned)steps});
    float *a = values(rows * steps, half), *b = values(steps * cols, half), *c = values(rows * cols, half);
    float *d = copy_of(c, rows * cols);
    want->matmul(&p, a, b, c);
    got->matmul(&p, a, b, d);
    check("matmul", c, d, rows * cols);
    free(a);
    free(b);
    free(c);
    free(d);
}

static uint16_t positions(uint16_t in, uint16_t kernel, uint16_t stride, uint16_t dilation, uint16_t pad)
{
    const int span = (kernel - 1) * dilation + 1, room = in + 2 * pad - span;
    return (uint16_t)(room < 0 ? 0 : room / stride + 1);
}

/* A window with at least one position; padding smaller than what the kernel spans, so that none is blind. */
static eng_window window_of(void)
{
    for (;;) {
        eng_window w = {.in_h = draw(1, 14), .in_w = draw(1, 14), .kernel_h = draw(1, 4), .kernel_w = draw(1, 4)};
        w.stride_h = draw(1, 2);
        w.stride_w = draw(1, 2);
        w.dilation_h = w.dilation_w = draw(0, 3) == 0 ? 2 : 1;
        w.pad_top = w.dilation_h > 1 ? 0 : (uint16_t)(draw(0, 1) * (w.kernel_h / 2));
        w.pad_left = w.dilation_w > 1 ? 0 : (uint16_t)(draw(0, 1) * (w.kernel_w / 2));
        if (draw(0, 2) == 0) {
            w.kernel_h = w.kernel_w = 3;
            w.stride_h = w.stride_w = w.dilation_h = w.dilation_w = 1;
            w.pad_top = w.pad_left = draw(0, 1);
        }
        w.out_h = positions(w.in_h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top);
        w.out_w = positions(w.in_w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left);
        if (w.out_h > 0 && w.out_w > 0) {
            return w;
        }
    }
}

static size_t image_of(const eng_window *w, size_t channels)
{
    return (size_t)w->in_h * w->in_w * channels;
}

static void describe_window(const eng_window *w, unsigned in_c, unsigned out_c, size_t batch)
{
    shape_text = describe("%ux%u kernel %ux%u channels %u to %u batch %u",
                          (unsigned[7]){w->in_h, w->in_w, w->kernel_h, w->kernel_w, in_c, out_c, (unsigned)batch});
}

static void test_conv2d(const eng_products_kernels *want, const eng_products_kernels *got, int half)
{
    const eng_conv2d_f32_params p = {.batch = draw(1, 40), .window = window_of(), .in_c = draw(1, 5), .out_c = draw(1, 20)};
    const size_t x_size = p.batch * image_of(&p.window, p.in_c);
    const size_t y_size = p.batch * p.window.out_h * p.window.out_w * p.out_c;
    const size_t w_size = (size_t)p.out_c * p.window.kernel_h * p.window.kernel_w * p.in_c;
    describe_window(&p.window, p.in_c, p.out_c, p.batch);
    float *x = values(x_size, half), *w = values(w_size, half), *bias = values(p.out_c, half);
    float *scratch = malloc(eng_conv2d_f32_scratch(&p) + eng_conv2d_f32_backward_scratch(&p));
    float *y[2] = {values(y_size, half), values(y_size, half)}, *dx[2] = {values(x_size, half), values(x_size, half)};
    float *dw[2] = {values(w_size, half), NULL}, *dbias[2] = {values(p.out_c, half), NULL};
    dw[1] = copy_of(dw[0], w_size);
    dbias[1] = copy_of(dbias[0], p.out_c);
    for (int i = 0; i < 2; ++i) {
        const eng_products_kernels *k = i ? got : want;
        k->conv2d(&p, x, w, bias, y[i], scratch);
        k->conv2d_backward(&p, x, w, y[0], dw[i], dbias[i], dx[i], scratch);
    }
    check("conv2d y", y[0], y[1], y_size);
    check("conv2d dw", dw[0], dw[1], w_size);
    check("conv2d dbias", dbias[0], dbias[1], p.out_c);
    check("conv2d dx", dx[0], dx[1], x_size);
    float *all[] = {x, w, bias, scratch, y[0], y[1], dx[0], dx[1], dw[0], dw[1], dbias[0], dbias[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
        free(all[i]);
    }
}

static void test_depthwise(const eng_products_kernels *want, const eng_products_kernels *got, int half)
{
    const eng_depthwise_conv2d_f32_params p = {
        .batch = draw(1, 3), .window = window_of(), .in_c = draw(1, 9), .multiplier = draw(1, 3)};
    const size_t out_c = (size_t)p.in_c * p.multiplier, x_size = p.batch * image_of(&p.window, p.in_c);
    const size_t y_size = p.batch * p.window.out_h * p.window.out_w * out_c;
    const size_t w_size = p.window.kernel_h * p.window.kernel_w * out_c;
    describe_window(&p.window, p.in_c, (unsigned)out_c, p.batch);
    float *x = values(x_size, half), *w = values(w_size, half), *bias = values(out_c, half);
    float *y[2] = {values(y_size, half), values(y_size, half)}, *dx[2] = {values(x_size, half), values(x_size, half)};
    float *dw[2] = {values(w_size, half), NULL}, *dbias[2] = {values(out_c, half), NULL};
    dw[1] = copy_of(dw[0], w_size);
    dbias[1] = copy_of(dbias[0], out_c);
    for (int i = 0; i < 2; ++i) {
        const eng_products_kernels *k = i ? got : want;
        k->depthwise_conv2d(&p, x, w, bias, y[i]);
        k->depthwise_conv2d_backward(&p, x, w, y[0], dw[i], dbias[i], dx[i]);
    }
    check("depthwise y", y[0], y[1], y_size);
    check("depthwise dw", dw[0], dw[1], w_size);
    check("depthwise dbias", dbias[0], dbias[1], out_c);
    check("depthwise dx", dx[0], dx[1], x_size);
    float *all[] = {x, w, bias, y[0], y[1], dx[0], dx[1], dw[0], dw[1], dbias[0], dbias[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
        free(all[i]);
    }
}

static void test_conv2d_max_pool2d(const eng_train_kernels *want, const eng_train_kernels *got)
{
    eng_conv2d_max_pool2d_f32_params p = {
        .batch = draw(1, 40), .window = window_of(), .in_c = draw(1, 4), .out_c = draw(1, 36)};
    p.in_c = draw(0, 1) ? 1 : p.in_c;
    p.pool_h = p.window.out_h < 2 ? 1 : draw(1, 2);
    p.pool_w = p.window.out_w < 2 ? 1 : (p.window.out_w > 2 && draw(0, 3) == 0) ? 3 : 2;
    p.limit = draw(0, 1) ? 0.7f : (float)INFINITY;
    const size_t x_size = p.batch * image_of(&p.window, p.in_c);
    const size_t y_size = p.batch * (size_t)(p.window.out_h / p.pool_h) * (size_t)(p.window.out_w / p.pool_w) * p.out_c;
    const size_t w_size = (size_t)p.out_c * p.window.kernel_h * p.window.kernel_w * p.in_c;
    describe_window(&p.window, p.in_c, p.out_c, p.batch);
    float *x = values(x_size, 0), *w = values(w_size, 0), *bias = values(p.out_c, 0), *dy = values(y_size, 0);
    float *scratch = malloc(eng_conv2d_max_pool2d_f32_scratch(&p) + eng_conv2d_max_pool2d_f32_backward_scratch(&p));
    float *y[2] = {values(y_size, 0), values(y_size, 0)}, *dx[2] = {values(x_size, 0), values(x_size, 0)};
    float *dw[2] = {values(w_size, 0), NULL}, *dbias[2] = {values(p.out_c, 0), NULL};
    uint8_t *winner[2] = {malloc(y_size), malloc(y_size)};
    dw[1] = copy_of(dw[0], w_size);
    dbias[1] = copy_of(dbias[0], p.out_c);
    for (int i = 0; i < 2; ++i) {
        const eng_train_kernels *k = i ? got : want;
        k->conv2d_max_pool2d(&p, x, w, bias, y[i], winner[i], scratch);
        k->conv2d_max_pool2d_backward(&p, x, w, y[0], winner[0], dy, dw[i], dbias[i], dx[i], scratch);
    }
    check("conv2d_max_pool2d y", y[0], y[1], y_size);
    if (memcmp(winner[0], winner[1], y_size) != 0) {
        printf("conv2d_max_pool2d winner %s differs\n", shape_text);
        exit(1);
    }
    check("conv2d_max_pool2d dw", dw[0], dw[1], w_size);
    check("conv2d_max_pool2d dbias", dbias[0], dbias[1], p.out_c);
    check("conv2d_max_pool2d dx", dx[0], dx[1], x_size);
    void *all[] = {x, w, bias, dy, scratch, y[0], y[1], dx[0], dx[1], dw[0], dw[1], dbias[0], dbias[1], winner[0], winner[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
        free(all[i]);
    }
}

static void test_dense(const eng_products_kernels *want, const eng_products_kernels *got, int half)
{
    const eng_dense_f32_params p = {.batch = draw(1, 20), .in = draw(1, 80), .out = draw(1, 40)};
    shape_text = describe("%ux%u batch %u", (unsigned[7]){p.in, p.out, (unsigned)p.batch});
    float *x = values(p.batch * p.in, half), *w = values((size_t)p.in * p.out, half), *bias = values(p.out, half);
    float *y[2] = {values(p.batch * p.out, half), values(p.batch * p.out, half)};
    float *scratch = malloc(eng_dense_f32_scratch(&p) + 1);
    want->dense(&p, x, w, bias, y[0], scratch);
    got->dense(&p, x, w, bias, y[1], scratch);
    check("dense y", y[0], y[1], p.batch * p.out);
    const eng_matrix_size size = {.rows = p.batch, .cols = p.out};
    float *sum[2] = {copy_of(bias, p.out), copy_of(bias, p.out)};
    want->sum_rows(&size, y[0], sum[0]);
    got->sum_rows(&size, y[0], sum[1]);
    check("sum_rows", sum[0], sum[1], p.out);
    void *all[] = {x, w, bias, y[0], y[1], scratch, sum[0], sum[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
        free(all[i]);
    }
}

static void test_updates(const eng_train_kernels *want, const eng_train_kernels *got)
{
    const size_t count = draw(1, 100);
    const eng_sgd_f32_params sgd = {.count = count, .learning_rate = 0.1f, .momentum = 0.5f};
    const eng_adam_f32_params adam = {.count = count, .learning_rate = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-7f};
    float *dw = values(count, 0), *a[3], *b[3];
    for (int i = 0; i < 3; ++i) {
        a[i] = values(count, 0);
        for (size_t j = 0; j < count; ++j) {
            a[i][j] = i == 2 ? fabsf(a[i][j]) : a[i][j];
        }
        b[i] = copy_of(a[i], count);
    }
    want->sgd(&sgd, dw, a[0], a[1]);
    got->sgd(&sgd, dw, b[0], b[1]);
    want->sgd(&sgd, dw, a[0], NULL);
    got->sgd(&sgd, dw, b[0], NULL);
    want->adam(&adam, 3, dw, a[0], a[1], a[2]);
    got->adam(&adam, 3, dw, b[0], b[1], b[2]);
    shape_text = "";
    for (int i = 0; i < 3; ++i) {
        check("updates", a[i], b[i], count);
        free(a[i]);
        free(b[i]);
    }
    free(dw);
}

/* Every kind of float: random bits, among them halfway cases, subnormals and NaNs. */
static void test_round(const eng_train_kernels *want, const eng_train_kernels *got)
{
    enum { COUNT = 1003 };
    static float x[COUNT], a[COUNT], b[COUNT];
    for (size_t i = 0; i < COUNT; ++i) {
        uint32_t bits = eng_rng_next(&rng);
        if (i % 2) {
            bits = (bits & UINT32_C(0x8FFFE000)) | UINT32_C(0x30000000) | (i % 4 == 1 ? UINT32_C(0x1000) : 0);
        }
        memcpy(&x[i], &bits, sizeof bits);
    }
    want->round_f16(COUNT, x, a);
    got->round_f16(COUNT, x, b);
    shape_text = "";
    check("round", a, b, COUNT);
    if (memcmp(a, b, sizeof a) != 0) {
        printf("round: payloads of NaN differ\n");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    const eng_isa isa = (eng_isa)atoi(argv[1]);
    const eng_train_kernels *want = eng_train_kernels_of(ENG_ISA_PORTABLE), *got = eng_train_kernels_of(isa);
    eng_rng_seed(&rng, (uint32_t)atoi(argv[2]));
    for (int i = 0; i < atoi(argv[3]); ++i) {
        for (int half = 0; half < 2; ++half) {
            const eng_products_kernels *w = half ? &want->f16 : &want->f32, *g = half ? &got->f16 : &got->f32;
            test_matmul(w, g, half);
            test_dense(w, g, half);
            test_conv2d(w, g, half);
            test_depthwise(w, g, half);
        }
        test_conv2d_max_pool2d(want, got);
        test_updates(want, got);
        test_round(want, got);
    }
    return 0;
}
