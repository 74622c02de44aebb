/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions by minimal filtering against eng_layer_run, bit for bit, also of shapes for which dispatch.c takes the direct
 * kernels: usage test_winograd ISA SEED COUNT. Buffers are exactly as large as documented. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eng/prepare.h"
#include "eng/random.h"
#include "winograd.h"

#define POINTS ENG_X86_POINTS

typedef struct {
    eng_x86_format format;
    eng_prepared_run run;
} twin;

static const twin twins[ENG_ISA_COUNT] = {
    [ENG_ISA_AVX2] = {{8, 2, 128, false, eng_avx2_quick}, eng_avx2_winograd},
#ifndef ENG_WITHOUT_AVXVNNI
    [ENG_ISA_AVXVNNI] = {{8, 1, 128, true, eng_avx2_quick}, eng_avxvnni_winograd},
#endif
    [ENG_ISA_AVX512VNNI] = {{16, 1, 128, true, eng_avx512vnni_quick}, eng_avx512vnni_winograd}};

/* The matrices of winograd.h, typed again. */
static const int codes_of_point[POINTS][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
                                              {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
static const int weights_of_point[POINTS][3] = {{6, 0, 0}, {-1, -1, -1}, {-1, 1, -1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 6}};

static eng_rng rng;

static uint32_t between(uint32_t first, uint32_t last)
{
    return first + eng_rng_below(&rng, last - first + 1);
}

static int8_t code(void)
{
    return (int8_t)((int32_t)eng_rng_below(&rng, 256) - 128);
}

/* A layer with memory of its own. */
typedef struct {
    eng_conv2d_s8_params params;
    eng_layer layer;
    int8_t *x, *w;
    int32_t *bias;
    eng_rescale *rescale;
    size_t x_size, w_size;
} convolution;

static void *aligned_memory(size_t size)
{
    void *memory = NULL;
    return posix_memalign(&memory, ENG_PREPARE_ALIGNMENT, size ? size : 1) == 0 ? memory : NULL;
}

static convolution *make(eng_window window, uint16_t in_c, uint16_t out_c)
{
    convolution *const c = calloc(1, sizeof *c);
    const eng_output_s8 y = {-3, -128, 127};
    c->params.window = window;
    c->params.in_c = in_c;
    c->params.out_c = out_c;
    c->params.zero_x = -128;
    c->params.rescale_step = 1;
    c->params.y = y;
    c->x_size = (size_t)window.in_h * window.in_w * in_c;
    c->w_size = (size_t)9 * in_c * out_c;
    c->x = calloc(c->x_size, 1);
    c->w = calloc(c->w_size, 1);
    c->bias = calloc(out_c, sizeof *c->bias);
    c->rescale = calloc(out_c, sizeof *c->rescale);
    for (uint32_t n = 0; n < out_c; ++n) {
        const eng_rescale r = {(INT32_C(1) << 30) + (int32_t)n, 0, 16};
        c->rescale[n] = r;
    }
    c->params.rescale = c->rescale;
    c->layer.op = ENG_OP_CONV2D_S8;
    c->layer.params = &c->params;
    c->layer.w = c->w;
    c->layer.bias = c->bias;
    c->layer.y = (uint32_t)c->x_size;
    return c;
}

static void end(convolution *c)
{
    free(c->x);
    free(c->w);
    free(c->bias);
    free(c->rescale);
    free(c);
}

static eng_window window_of(uint32_t in_h, uint32_t in_w, uint32_t out_h, uint32_t out_w, uint32_t top, uint32_t left)
{
    const eng_window w = {.in_h = (uint16_t)in_h,
                          .in_w = (uint16_t)in_w,
                          .out_h = (uint16_t)out_h,
                          .out_w = (uint16_t)out_w,
                          .kernel_h = 3,
                          .kernel_w = 3,
                          .stride_h = 1,
                          .stride_w = 1,
                          .dilation_h = 1,
                          .dilation_w = 1,
                          .pad_top = (uint16_t)top,
                          .pad_left = (uint16_t)left};
    return w;
}

static int differs(const convolution *c, const uint8_t *want, const uint8_t *got, size_t size)
{
    for (size_t i = 0; i < size; ++i) {
        if (want[i] != got[i]) {
            const eng_window *v = &c->params.window;
            printf("image %ux%u -> %ux%u, pad %u,%u, channels %u -> %u: arena[%zu] (y at %u) is %d, not %d\n", v->in_h, v->in_w,
                   v->out_h, v->out_w, v->pad_top, v->pad_left, c->params.in_c, c->params.out_c, i, c->layer.y, (int8_t)got[i],
                   (int8_t)want[i]);
            return 1;
        }
    }
    return 0;
}

/* 0 if the twin's arena is the portable kernel's, 1 if not, 2 if the layer has no such twin or is none. */
static int compare(const twin *t, const convolution *c)
{
    eng_x86_winograd plan;
    uint16_t where;
    const size_t size = c->x_size + eng_layer_y_size(&c->layer);
    const eng_model model = {&c->layer, 1, (uint32_t)size};
    if (eng_model_check(&model, &where) != ENG_OK || !eng_x86_winograd_plan(&t->format, &c->layer, &plan)) {
        return 2;
    }
    uint8_t *const packed = aligned_memory(plan.size), *const scratch = aligned_memory(plan.scratch);
    uint8_t *const want = malloc(size), *const got = malloc(size);
    memset(packed, 0xa5, plan.size);
    memset(scratch, 0x5a, plan.scratch);
    memset(want, 0x77, size);
    memcpy(want, c->x, c->x_size);
    memcpy(got, want, size);
    eng_x86_winograd_pack(&t->format, &c->layer, packed);
    eng_layer_run(&c->layer, want);
    t->run(&c->layer, packed, got, scratch);
    const int result = differs(c, want, got, size);
    free(packed);
    free(scratch);
    free(want);
    free(got);
    return result;
}

/* Any, all at one end, or a chessboard of both. */
static void fill(int8_t *codes, size_t n, size_t period)
{
    const uint32_t kind = eng_rng_below(&rng, 6);
    for (size_t i = 0; i < n; ++i) {
        const bool odd = (i / period + i % period) % 2 != 0;
        codes[i] = kind < 3 ? code() : kind == 3 ? -128 : kind == 4 ? 127 : odd ? 127 : -128;
    }
}

static void fill_rescales(convolution *c)
{
    for (uint32_t n = 0; n < c->params.out_c; ++n) {
        const uint32_t kind = eng_rng_below(&rng, 6);
        const eng_rescale r = {kind == 0 ? (int32_t)between(0, 1) << 30
                                         : (INT32_C(1) << 30) + (int32_t)between(0, (1u << 30) - 1),
                               (uint8_t)(kind == 1 ? between(0, 6) : 0), (uint8_t)(kind == 1 ? 0 : between(0, 20))};
        c->rescale[n] = r;
    }
}

static int random_case(const twin *t)
{
    const uint32_t most = eng_rng_below(&rng, 4) ? 13 : 40, h = between(1, most), w = between(1, most);
    const uint32_t top = between(0, 2), left = between(0, 2);
    const eng_window v = window_of(h, w, between(1, h + top), between(1, w + left), top, left);
    convolution *const c = make(v, (uint16_t)between(1, most == 40 ? 20 : 70), (uint16_t)between(1, most == 40 ? 20 : 70));
    const uint32_t bits = eng_rng_below(&rng, 24);
    fill(c->x, c->x_size, between(1, 6));
    fill(c->w, c->w_size, between(1, 6));
    for (uint32_t n = 0; n < c->params.out_c; ++n) {
        c->bias[n] = (int32_t)eng_rng_below(&rng, UINT32_C(2) << bits) - (INT32_C(1) << bits);
    }
    fill_rescales(c);
    c->params.rescale_step = (uint8_t)between(0, 1);
    c->params.zero_x = eng_rng_below(&rng, 2) ? code() : eng_rng_below(&rng, 2) ? -128 : 127;
    c->params.y.zero = code();
    if (eng_rng_below(&rng, 2)) {
        c->params.y.lo = c->params.y.zero;
        c->params.y.hi = (int8_t)((int32_t)between((uint32_t)(c->params.y.lo + 128), 255) - 128);
    }
    const int result = compare(t, c);
    end(c);
    return result;
}

/* One tile whose codes and weights make the largest products at a point: all signs as its rows of the matrices want them. */
static int extreme_case(const twin *t, uint32_t row, uint32_t column, bool turned)
{
    convolution *const c = make(window_of(6, 6, 4, 4, 0, 0), 32, 16);
    for (size_t i = 0; i < c->x_size; ++i) {
        const size_t pixel = i / c->params.in_c;
        const int sign = codes_of_point[row][pixel / 6] * codes_of_point[column][pixel % 6];
        c->x[i] = (sign < 0) != turned ? -128 : 127;
    }
    for (size_t i = 0; i < c->w_size; ++i) {
        const size_t tap = i / c->params.in_c % 9;
        const int sign = weights_of_point[row][tap / 3] * weights_of_point[column][tap % 3];
        c->w[i] = sign < 0 ? -127 : 127;
    }
    const int result = compare(t, c);
    end(c);
    return result;
}

static int extreme_cases(const twin *t)
{
    for (uint32_t i = 0; i < 2 * POINTS * POINTS; ++i) {
        if (extreme_case(t, i / 2 / POINTS, i / 2 % POINTS, i % 2 != 0) != 0) {
            printf("extreme codes of point (%u, %u)\n", i / 2 / POINTS, i / 2 % POINTS);
            return 1;
        }
    }
    return 0;
}

/* 100 channels of codes 255 above the zero point, with the same weight throughout. */
static convolution *uniform(int8_t weight, int32_t bias)
{
    convolution *const c = make(window_of(8, 8, 8, 8, 1, 1), 100, 32);
    memset(c->x, 127, c->x_size);
    memset(c->w, weight, c->w_size);
    for (uint32_t n = 0; n < c->params.out_c; ++n) {
        c->bias[n] = bias;
        c->rescale[n].right = 18; /* or all codes would be the largest */
    }
    return c;
}

/* Sums up to the bound are right, a layer beyond it has another twin: dispatch.c takes the direct kernel. */
static int bound_cases(eng_isa isa, const twin *t)
{
    const int32_t bound = (INT32_C(1) << 25) - (INT32_C(1) << 23), most = 900 * 109 * 255;
    const struct {
        int8_t weight;
        int32_t bias;
        int want;
    } cases[] = {{109, 0, 0},
                 {-109, 0, 0},
                 {110, 0, 2},
                 {-110, 0, 2},
                 {109, bound - most - 1, 0},
                 {-109, most - bound + 1, 0},
                 {109, bound - most, 2},
                 {-109, most - bound, 2},
                 {0, INT32_C(1) << 30, 2}};
    convolution *const small = uniform(1, 0);
    const eng_prepared_run usual = eng_prepare(isa, &small->layer).run;
    int result = usual != t->run;
    for (size_t i = 0; i < sizeof cases / sizeof *cases && result == 0; ++i) {
        convolution *const c = uniform(cases[i].weight, cases[i].bias);
        result = compare(t, c) != cases[i].want || (eng_prepare(isa, &c->layer).run == usual) != (cases[i].want == 0);
        if (result != 0) {
            printf("weights %d, bias %d: bound\n", cases[i].weight, cases[i].bias);
        }
        end(c);
    }
    end(small);
    return result;
}

static int all_cases(eng_isa isa, uint32_t seed, uint32_t count)
{
    const twin *const t = &twins[isa];
    uint32_t done = 0;
    if (t->run == NULL) {
        return 0;
    }
    for (uint32_t n = 0; n < count; ++n) {
        eng_rng_seed(&rng, seed + n);
        const int result = random_case(t);
        if (result == 1) {
            printf("differs: %s, seed %u\n", eng_isa_name(isa), seed + n);
            return 1;
        }
        done += result == 0;
    }
    printf("%u layers\n", done);
    return done * 3 < count || extreme_cases(t) != 0 || bound_cases(isa, t) != 0;
}

int main(int argc, char **argv)
{
    for (int i = 0; argc == 4 && i < ENG_ISA_COUNT; ++i) {
        const eng_isa isa = (eng_isa)i;
        if (strcmp(argv[1], eng_isa_name(isa)) == 0 && eng_isa_available(isa)) {
            return all_cases(isa, (uint32_t)strtoul(argv[2], NULL, 10), (uint32_t)strtoul(argv[3], NULL, 10));
        }
    }
    fprintf(stderr, "usage: test_winograd ISA SEED COUNT\n");
    return 2;
}
