/* SPDX-License-Identifier: Apache-2.0 */
/* Every prepared layer against eng_layer_run, bit for bit, over random ragged layers: usage test_twins ISA SEED COUNT.
 * Buffers are exactly as large as documented, so that an address sanitizer sees what is read or written beyond. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eng/prepare.h"
#include "eng/random.h"

static eng_rng rng;

static uint16_t between(uint32_t first, uint32_t last)
{
    return (uint16_t)(first + eng_rng_below(&rng, last - first + 1));
}

static int8_t code(void)
{
    return (int8_t)((int32_t)eng_rng_below(&rng, 256) - 128);
}

/* Channel counts around the widths of vectors. */
static uint16_t channels(void)
{
    static const uint16_t some[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 40, 48, 49, 64, 65, 80, 100};
    return some[eng_rng_below(&rng, sizeof some / sizeof *some)];
}

/* Codes: any, or all the same end of the range. */
static void fill(int8_t *x, size_t n)
{
    static const int8_t ends[] = {-128, 127, 0, -127};
    const uint32_t kind = eng_rng_below(&rng, 8);
    for (size_t i = 0; i < n; ++i) {
        x[i] = kind < 4 ? code() : kind < 8 && i % (kind - 3) == 0 ? ends[kind - 4] : code();
    }
}

/* As quantizers write weights: what was -128 is -127. */
static void make_symmetric(int8_t *w, size_t n)
{
    for (size_t i = 0; i < n; ++i) {
        w[i] = w[i] == INT8_MIN ? -INT8_MAX : w[i];
    }
}

static eng_rescale rescale(uint8_t most_left)
{
    eng_rescale r = {(INT32_C(1) << 30) + (int32_t)eng_rng_below(&rng, UINT32_C(1) << 30), 0, 0};
    switch (eng_rng_below(&rng, 8)) {
    case 0:
        r.mult = eng_rng_below(&rng, 2) ? 0 : INT32_C(1) << 30;
        break;
    case 1:
        r.left = (uint8_t)between(0, most_left);
        break;
    case 2:
        r.right = (uint8_t)between(0, 31);
        r.mult = INT32_C(1) << 30; /* ties */
        break;
    case 3:
        r.mult = INT32_MAX;
        break;
    default:
        r.right = (uint8_t)between(4, 14);
        break;
    }
    return r;
}

static eng_output_s8 output(void)
{
    eng_output_s8 y = {code(), -128, 127};
    if (eng_rng_below(&rng, 2)) {
        y.lo = code();
        y.hi = (int8_t)between((uint32_t)(y.lo + 128), 255);
        y.hi = (int8_t)((uint8_t)y.hi - 128);
    }
    return y;
}

/* Sizes that leave a tap inside the image at every position. */
static void axis(uint16_t in, uint16_t *out, uint16_t *kernel, uint16_t *stride, uint16_t *dilation, uint16_t *pad)
{
    *kernel = between(1, 5);
    *stride = between(1, 3);
    *dilation = eng_rng_below(&rng, 4) ? 1 : between(1, 3);
    const uint32_t span = (*kernel - 1u) * *dilation;
    *pad = *dilation == 1 && eng_rng_below(&rng, 2) ? between(0, span) : 0;
    *pad = *pad > in ? in : *pad;
    const uint32_t last = *dilation == 1 && eng_rng_below(&rng, 2) ? in - 1u + *pad
                          : in + *pad > span                       ? in + *pad - span - 1u
                                                                   : 0;
    *out = (uint16_t)(last / *stride + 1);
}

static eng_window window(uint16_t in_h, uint16_t in_w)
{
    eng_window w = {.in_h = in_h, .in_w = in_w};
    axis(in_h, &w.out_h, &w.kernel_h, &w.stride_h, &w.dilation_h, &w.pad_top);
    axis(in_w, &w.out_w, &w.kernel_w, &w.stride_w, &w.dilation_w, &w.pad_left);
    return w;
}

typedef union {
    eng_dense_s8_params dense;
    eng_conv2d_s8_params conv;
    eng_conv2d_max_pool2d_s8_params conv_pool;
    eng_pool2d_s8_params pool;
    eng_requantize_s8_params requantize;
    eng_lookup_s8_params lookup;
    eng_add_s8_params add;
    eng_mul_s8_params mul;
    eng_mean_s8_params mean;
    eng_argmax_s8_params argmax;
    eng_copy_s8_params copy;
    eng_quantize_params quantize;
} params;

typedef struct {
    size_t w, bias; /* elements */
} sizes;

/* Single pixels of an image that is longer than a band, or one. */
static eng_window pixels(void)
{
    const uint16_t h = between(1, eng_rng_below(&rng, 4) ? 6 : 40), w = between(1, eng_rng_below(&rng, 4) ? 12 : 40);
    const eng_window one = {h, w, h, w, 1, 1, 1, 1, 1, 1, 0, 0};
    return one;
}

/* Short rows of a kernel in wide images: neighbours share codes, as one point or where kernel columns are whole steps apart. */
static eng_window short_rows(void)
{
    eng_window w = window(between(1, 30), between(3, 40));
    w.kernel_w = between(1, 3);
    w.dilation_w = 1;
    w.stride_w = between(1, 2);
    w.pad_left = between(0, w.kernel_w - 1u);
    w.out_w = (uint16_t)((w.in_w + w.pad_left - w.kernel_w) / w.stride_w + 1 + eng_rng_below(&rng, w.kernel_w));
    w.out_w = w.kernel_w == 1 ? (uint16_t)((w.in_w - 1) / w.stride_w + 1) : w.out_w;
    return w;
}

/* First layers: kernel rows of few channels over images so wide that sixteen positions of a row are vectors' lanes. */
static eng_window first_layer(eng_conv2d_s8_params *p)
{
    static const uint16_t outputs[] = {8, 16, 16, 32, 48};
    eng_window w = window(between(1, 12), between(16, 120));
    w.kernel_w = between(1, 5);
    w.kernel_h = eng_rng_below(&rng, 2) ? between(1, w.kernel_h) : w.kernel_h;
    w.dilation_w = 1;
    w.stride_w = between(1, 2);
    w.pad_left = between(0, w.kernel_w - 1u);
    w.out_w = (uint16_t)((w.in_w + w.pad_left - w.kernel_w) / w.stride_w + 1 + eng_rng_below(&rng, w.kernel_w));
    w.out_w = w.kernel_w == 1 ? (uint16_t)((w.in_w - 1) / w.stride_w + 1) : w.out_w;
    p->in_c = between(1, 4);
    p->out_c = outputs[eng_rng_below(&rng, sizeof outputs / sizeof *outputs)];
    if (eng_rng_below(&rng, 2)) { /* 3 x 3 of three channels, stride 1 or 2, with the padding of SAME */
        const uint16_t stride = between(1, 2), out_h = (uint16_t)((w.in_h + stride - 1u) / stride);
        const uint16_t out_w = (uint16_t)((w.in_w + stride - 1u) / stride);
        const eng_window same = {w.in_h, w.in_w, out_h, out_w, 3, 3, stride, stride, 1, 1, stride & 1, stride & 1};
        p->in_c = 3;
        return same;
    }
    return w;
}

/* Kernels of 3 x 3 and stride 1 with any padding, for which there are twins of their own. */
static void set_3x3(uint16_t in, uint16_t *out, uint16_t *kernel, uint16_t *stride, uint16_t *dilation, uint16_t *pad)
{
    *kernel = 3;
    *stride = 1;
    *dilation = 1;
    *pad = between(0, 2);
    *out = eng_rng_below(&rng, 2) ? between(1, in + 0u) : (uint16_t)(in + *pad - (*pad < 2 ? 0 : 1));
}

static void random_3x3(eng_conv2d_s8_params *p)
{
    const uint32_t most = eng_rng_below(&rng, 4) ? 13 : 40;
    const uint16_t in_h = between(1, most), in_w = between(1, most);
    const eng_window w = {.in_h = in_h, .in_w = in_w};
    p->window = w;
    set_3x3(in_h, &p->window.out_h, &p->window.kernel_h, &p->window.stride_h, &p->window.dilation_h, &p->window.pad_top);
    set_3x3(in_w, &p->window.out_w, &p->window.kernel_w, &p->window.stride_w, &p->window.dilation_w, &p->window.pad_left);
    p->in_c = between(1, most == 40 ? 24 : 70);
    p->out_c = most == 40 ? between(1, 24) : channels();
}

static sizes random_conv(eng_conv2d_s8_params *p)
{
    const uint32_t kind = eng_rng_below(&rng, 10);
    p->window = kind == 0   ? window(between(1, 5), between(1, 5))
                : kind == 1 ? pixels()
                : kind == 2 ? short_rows()
                            : window(between(1, 14), between(1, 14));
    p->in_c = kind == 0 || (kind == 1 && eng_rng_below(&rng, 2)) ? channels() : between(1, kind == 2 ? 3 : 20);
    p->in_c = kind == 2 && eng_rng_below(&rng, 2) ? (uint16_t)(4 * between(1, 5)) : p->in_c;
    p->out_c = kind == 2 && eng_rng_below(&rng, 2) ? between(1, 16) : channels();
    p->window = kind == 8 ? first_layer(p) : p->window;
    if (kind == 9) {
        random_3x3(p);
    }
    if (kind == 1 && eng_rng_below(&rng, 2)) { /* as few inputs, and outputs by the sixteen, as quarters of vectors are for */
        p->in_c = (uint16_t)(8 * between(1, 2));
        p->out_c = (uint16_t)(16 * between(1, 4));
        if (eng_rng_below(&rng, 2)) { /* and every other pixel */
            const uint16_t h = between(1, 12), w = (uint16_t)(4 * between(1, 8));
            const eng_window other = {
                (uint16_t)(2 * h - eng_rng_below(&rng, 2)), (uint16_t)(2 * w), h, w, 1, 1, 2, 2, 1, 1, 0, 0};
            p->window = other;
        }
    }
    p->zero_x = code();
    p->y = output();
    const sizes s = {(size_t)p->out_c * p->window.kernel_h * p->window.kernel_w * p->in_c, p->out_c};
    return s;
}

/* 3 x 3 of channels that blocks of 64 codes begin with again, padded by any of what keeps a tap inside. */
static void three_by_three(eng_conv2d_s8_params *p)
{
    static const uint16_t some[] = {8, 8, 16, 16, 32, 32, 64, 64, 128, 192, 256};
    const uint16_t stride = between(1, 2), in_h = between(1, 20), in_w = between(1, 20);
    const uint16_t top = between(in_h < 3 ? 3u - in_h : 0, 2), left = between(in_w < 3 ? 3u - in_w : 0, 2);
    const uint16_t below = between(0, 2), right = between(0, 2);
    const uint16_t out_h = (uint16_t)((in_h + top + below - 3u) / stride + 1);
    const uint16_t out_w = (uint16_t)((in_w + left + right - 3u) / stride + 1);
    const eng_window w = {in_h, in_w, out_h, out_w, 3, 3, stride, stride, 1, 1, top, left};
    p->window = w;
    p->out_c = some[eng_rng_below(&rng, sizeof some / sizeof *some)];
    p->in_c = p->out_c;
}

/* Ratios as add's: 1/2 and less, and about 2^-20. */
static eng_rescale shrinking(uint8_t least, uint8_t most)
{
    eng_rescale r = rescale(0);
    r.right = between(least, most) & 31;
    return r;
}

static eng_broadcast broadcast(uint32_t count, uint32_t channels_)
{
    const eng_broadcast all[] = {{count, 1}, {count, 1}, {1, 1}, {channels_, 1}, {count / channels_, channels_}};
    return all[eng_rng_below(&rng, 5)];
}

/* Operands of the same shape, or broadcast; returns how many elements the second has if it is constant. */
static size_t random_pair(uint32_t *count, eng_broadcast *x, eng_broadcast *x2)
{
    const uint32_t inner = channels();
    *count = inner * between(1, eng_rng_below(&rng, 4) ? 6 : 40);
    *x = broadcast(*count, inner);
    *x2 = broadcast(*count, inner);
    return eng_rng_below(&rng, 3) ? 0 : x2->size;
}

static size_t random_add(eng_add_s8_params *p)
{
    p->zero_x = code();
    p->zero_x2 = code();
    p->rescale_x = shrinking(0, 3);
    p->rescale_x2 = shrinking(0, 3);
    p->rescale_y = eng_rng_below(&rng, 8) ? shrinking(15, 20) : shrinking(0, 31);
    p->y = output();
    return random_pair(&p->count, &p->x, &p->x2);
}

static size_t random_mul(eng_mul_s8_params *p)
{
    p->zero_x = code();
    p->zero_x2 = code();
    p->rescale = rescale(30);
    p->y = output();
    return random_pair(&p->count, &p->x, &p->x2);
}

static void random_mean(eng_mean_s8_params *p)
{
    p->pixels = eng_rng_below(&rng, 4) ? between(1, 60) : between(1, 1000);
    p->channels = channels();
    p->zero_x = code();
    p->rescale = rescale(8);
    p->y = output();
}

static void random_copy(eng_copy_s8_params *p)
{
    p->rows = between(1, 20);
    p->size = channels();
    p->first = between(0, 20);
    p->stride = p->first + p->size + between(0, 20);
}

static sizes random_params(uint8_t op, params *p)
{
    static int8_t table[256];
    sizes s = {0, 0};
    switch (op) {
    case ENG_OP_ADD_S8:
    case ENG_OP_SUB_S8:
        s.w = random_add(&p->add);
        break;
    case ENG_OP_MUL_S8:
        s.w = random_mul(&p->mul);
        break;
    case ENG_OP_MEAN_S8:
        random_mean(&p->mean);
        break;
    case ENG_OP_COPY_S8:
        random_copy(&p->copy);
        break;
    case ENG_OP_ARGMAX_S8:
        p->argmax.rows = between(1, 5);
        p->argmax.size = between(1, 300);
        break;
    case ENG_OP_QUANTIZE_F32_S8:
    case ENG_OP_QUANTIZE_F32_U8:
    case ENG_OP_DEQUANTIZE_S8_F32:
    case ENG_OP_DEQUANTIZE_U8_F32:
        p->quantize.count = between(1, 300);
        p->quantize.scale = (float)between(1, 100) * (eng_rng_below(&rng, 2) ? 0.5f : 0.0007f);
        p->quantize.zero = code();
        break;
    case ENG_OP_LOOKUP_S8:
        fill(table, sizeof table);
        p->lookup.count = between(1, 300);
        p->lookup.codes = table;
        break;
    case ENG_OP_DENSE_S8:
        p->dense.in = eng_rng_below(&rng, 8) ? between(1, 200) : between(1, 3000);
        p->dense.in = eng_rng_below(&rng, 2) ? (uint16_t)((p->dense.in + 3) / 4 * 4) : p->dense.in;
        p->dense.out = channels();
        p->dense.y = output();
        s.w = (size_t)p->dense.in * p->dense.out;
        s.bias = p->dense.out;
        break;
    case ENG_OP_CONV2D_S8:
        s = random_conv(&p->conv);
        break;
    case ENG_OP_DEPTHWISE_CONV2D_S8:
        (void)random_conv(&p->conv);
        p->conv.in_c = (uint16_t)(eng_rng_below(&rng, 8) || p->conv.out_c % 2 ? p->conv.out_c : p->conv.out_c / 2);
        if (eng_rng_below(&rng, 2)) {
            three_by_three(&p->conv);
        }
        s.w = (size_t)p->conv.window.kernel_h * p->conv.window.kernel_w * p->conv.out_c;
        s.bias = p->conv.out_c;
        break;
    case ENG_OP_CONV2D_MAX_POOL2D_S8:
        s = random_conv(&p->conv_pool.conv);
        p->conv_pool.pool = window(p->conv_pool.conv.window.out_h, p->conv_pool.conv.window.out_w);
        break;
    case ENG_OP_REQUANTIZE_S8:
    case ENG_OP_REQUANTIZE_U8_S8:
    case ENG_OP_REQUANTIZE_S8_U8:
        p->requantize.count = between(1, 300);
        p->requantize.zero_x = code();
        p->requantize.rescale = rescale(30);
        p->requantize.y = output();
        break;
    default:
        p->pool.window = window(between(1, 14), between(1, 14));
        if (eng_rng_below(&rng, 4) == 0) { /* one window, the image */
            const uint16_t h = between(1, 40), w = between(1, 20);
            const eng_window all = {h, w, 1, 1, h, w, 1, 1, 1, 1, 0, 0};
            p->pool.window = all;
        }
        p->pool.channels = channels();
        p->pool.lo = -100;
        p->pool.hi = 100;
        break;
    }
    return s;
}

static eng_rescale *random_rescales(uint8_t op, params *p, size_t out)
{
    eng_rescale *const r = malloc((out + 1) * sizeof *r);
    const uint8_t step = (uint8_t)eng_rng_below(&rng, 2);
    for (size_t n = 0; n < out; ++n) {
        r[n] = rescale(op == ENG_OP_CONV2D_MAX_POOL2D_S8 ? 6 : 30);
    }
    if (op == ENG_OP_DENSE_S8) {
        p->dense.rescale = r;
        p->dense.rescale_step = step;
    } else if (out != 0) { /* the convolution comes first in the fused params */
        p->conv.rescale = r;
        p->conv.rescale_step = step;
    }
    return r;
}

static void *aligned_memory(size_t size)
{
    void *memory = NULL;
    return posix_memalign(&memory, ENG_PREPARE_ALIGNMENT, size ? size : 1) == 0 ? memory : NULL;
}

/* Codes and halves of codes around the range, now and then anything: NaN and infinity too. */
static void fill_floats(const eng_layer *l, uint8_t *arena)
{
    const eng_quantize_params *const p = l->params;
    for (uint32_t i = 0; i < p->count; ++i) {
        const float x = p->scale * 0.5f * (float)((int32_t)eng_rng_below(&rng, 1200) - 600);
        const uint32_t any = eng_rng_next(&rng);
        memcpy(arena + l->x + i * sizeof x, eng_rng_below(&rng, 4) ? (const void *)&x : &any, sizeof x);
    }
}

static int first_difference(const eng_layer *l, const uint8_t *want, const uint8_t *got, size_t size)
{
    for (size_t i = 0; i < size; ++i) {
        if (want[i] != got[i]) {
            printf("arena[%zu] (y at %u): got %d, want %d\n", i, l->y, (int8_t)got[i], (int8_t)want[i]);
            return 1;
        }
    }
    return 0;
}

/* `samples` arenas, one by one if they are not run as a batch. */
static int compare_samples(const eng_prepared *prepared, const eng_layer *l, const uint8_t *packed, uint32_t arena_size,
                           uint32_t samples, bool batch)
{
    const size_t size = (size_t)arena_size * samples;
    uint8_t *const want = malloc(size), *const got = malloc(size), *const scratch = aligned_memory(prepared->scratch_size);
    memset(scratch, 0xa5, prepared->scratch_size);
    fill((int8_t *)want, size);
    if (l->op == ENG_OP_QUANTIZE_F32_S8 || l->op == ENG_OP_QUANTIZE_F32_U8) {
        fill_floats(l, want);
    }
    memcpy(got, want, size);
    for (uint32_t n = 0; n < samples; ++n) {
        eng_layer_run(l, want + (size_t)n * arena_size);
        if (!batch) {
            prepared->run(l, packed, got + (size_t)n * arena_size, scratch);
        }
    }
    if (batch) {
        const eng_samples all = {got + l->x, got + l->y, arena_size, arena_size, samples};
        prepared->batch(l, packed, &all, scratch);
    }
    const int differs = first_difference(l, want, got, size);
    free(scratch);
    free(want);
    free(got);
    return differs;
}

/* 0 if the same, 1 if not, 2 if the check refuses the layer. */
static int compare(eng_isa isa, const eng_layer *l, uint32_t arena_size)
{
    uint16_t where;
    const eng_model model = {l, 1, arena_size};
    if (eng_model_check(&model, &where) != ENG_OK) {
        return 2;
    }
    const eng_prepared prepared = eng_prepare(isa, l);
    uint8_t *const packed = aligned_memory(prepared.packed_size);
    memset(packed, 0xa5, prepared.packed_size);
    eng_prepare_pack(isa, l, packed);
    int differs = compare_samples(&prepared, l, packed, arena_size, 1, false);
    if (prepared.batch != NULL && !differs) {
        differs = compare_samples(&prepared, l, packed, arena_size, between(1, ENG_PREPARE_SAMPLES), true);
    }
    free(packed);
    return differs;
}

/* Buffers behind one another, and the result in an operand's place where it may be; returns the arena's size. */
static uint32_t place(eng_layer *l)
{
    const uint32_t x = eng_layer_x_size(l), x2 = eng_layer_x2_size(l), y = eng_layer_y_size(l);
    const bool elementwise = l->op == ENG_OP_ADD_S8 || l->op == ENG_OP_SUB_S8 || l->op == ENG_OP_MUL_S8 ||
                             l->op == ENG_OP_REQUANTIZE_S8 || l->op == ENG_OP_LOOKUP_S8;
    l->x2 = x;
    l->y = (x + x2 + 3) / 4 * 4;
    if (elementwise && eng_rng_below(&rng, 2) && (x == y || x2 == y)) {
        l->y = x == y ? l->x : l->x2;
        return x + x2;
    }
    return l->y + y;
}

static int one_case(eng_isa isa, uint8_t op)
{
    params *const p = calloc(1, sizeof *p);
    const sizes s = random_params(op, p);
    int8_t *const w = malloc(s.w + 1);
    int32_t *const bias = malloc((s.bias + 1) * sizeof *bias);
    const uint32_t bits = eng_rng_below(&rng, 26);
    fill(w, s.w);
    if (eng_rng_below(&rng, 2)) {
        make_symmetric(w, s.w);
    }
    for (size_t n = 0; n < s.bias; ++n) {
        bias[n] = (int32_t)eng_rng_below(&rng, UINT32_C(2) << bits) - (INT32_C(1) << bits);
    }
    eng_rescale *const r = random_rescales(op, p, s.bias);
    eng_layer l = {.op = op, .params = p, .w = s.w ? w : NULL, .bias = s.bias ? bias : NULL};
    const int result = compare(isa, &l, place(&l));
    if (result == 1) {
        const eng_window *v = &p->conv.window;
        printf("op %u: image %ux%u -> %ux%u, kernel %ux%u, stride %ux%u, dilation %ux%u, pad %u,%u, channels %u -> %u\n", op,
               v->in_h, v->in_w, v->out_h, v->out_w, v->kernel_h, v->kernel_w, v->stride_h, v->stride_w, v->dilation_h,
               v->dilation_w, v->pad_top, v->pad_left, p->conv.in_c, p->conv.out_c);
    }
    free(p);
    free(w);
    free(bias);
    free(r);
    return result;
}

static int all_cases(eng_isa isa, uint32_t seed, uint32_t count)
{
    static const uint8_t ops[] = {ENG_OP_DENSE_S8,
                                  ENG_OP_CONV2D_S8,
                                  ENG_OP_CONV2D_MAX_POOL2D_S8,
                                  ENG_OP_MAX_POOL2D_S8,
                                  ENG_OP_AVERAGE_POOL2D_S8,
                                  ENG_OP_REQUANTIZE_S8,
                                  ENG_OP_DEPTHWISE_CONV2D_S8,
                                  ENG_OP_REQUANTIZE_U8_S8,
                                  ENG_OP_REQUANTIZE_S8_U8,
                                  ENG_OP_LOOKUP_S8,
                                  ENG_OP_ADD_S8,
                                  ENG_OP_SUB_S8,
                                  ENG_OP_MUL_S8,
                                  ENG_OP_MEAN_S8,
                                  ENG_OP_COPY_S8,
                                  ENG_OP_ARGMAX_S8,
                                  ENG_OP_QUANTIZE_F32_S8,
                                  ENG_OP_QUANTIZE_F32_U8,
                                  ENG_OP_DEQUANTIZE_S8_F32,
                                  ENG_OP_DEQUANTIZE_U8_F32};
    for (size_t i = 0; i < sizeof ops; ++i) {
        uint32_t done = 0;
        for (uint32_t n = 0; n < count; ++n) {
            eng_rng_seed(&rng, seed + n);
            const int result = one_case(isa, ops[i]);
            if (result == 1) {
                printf("differs: %s, op %u, seed %u\n", eng_isa_name(isa), ops[i], seed + n);
                return 1;
            }
            done += result == 0;
        }
        printf("op %u: %u layers\n", ops[i], done);
        if (done * 4 < count) {
            printf("op %u: too many layers refused\n", ops[i]);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 0; argc == 4 && i < ENG_ISA_COUNT; ++i) {
        const eng_isa isa = (eng_isa)i;
        if (strcmp(argv[1], eng_isa_name(isa)) == 0 && eng_isa_available(isa)) {
            return all_cases(isa, (uint32_t)strtoul(argv[2], NULL, 10), (uint32_t)strtoul(argv[3], NULL, 10));
        }
    }
    fprintf(stderr, "usage: test_twins ISA SEED COUNT\n");
    return 2;
}
