/* SPDX-License-Identifier: Apache-2.0 */
/* The loops over one image of the fused convolution and max pool: lanes are output channels. */
#include "train_vectors.h"

/* What one block of channels works on; w [taps][out_c] and y begin at its first channel. */
typedef struct {
    const eng_pooled_params *p;
    const eng_pooled_image *image;
    const float *w;
    eng_floats bias;
    eng_mask mask;
} block;

/* Convolution at count positions, whose first taps read x[0], x[1], ...; kernel_h and run (floats of a kernel's row) may be
 * constants. Without dilation. */
ENG_INLINE void sums(const block *k, size_t count, size_t kernel_h, size_t run, const float *const *x, eng_floats *sum)
{
    const size_t out_c = k->p->out_c, row = k->image->row;
    const float *w = k->w;
#pragma GCC unroll 4
    for (size_t m = 0; m < count; ++m) {
        sum[m] = k->bias;
    }
#pragma GCC unroll 3
    for (size_t i = 0; i < kernel_h; ++i) {
#pragma GCC unroll 3
        for (size_t t = 0; t < run; ++t) {
            const eng_floats weights = load_first(w, k->mask);
#pragma GCC unroll 4
            for (size_t m = 0; m < count; ++m) {
                sum[m] = add(sum[m], multiply(spread(x[m][i * row + t]), weights));
            }
            w += out_c;
        }
    }
}

/* One position of the pool. */
ENG_INLINE void pooled(const block *k, size_t kernel_h, size_t run, const float *corner, float *y, uint8_t *winner)
{
    const eng_pooled_params *const p = k->p;
    const size_t area = (size_t)p->pool_h * p->pool_w;
    eng_floats best = spread(0.0f), sum[4];
    eng_ints at = spread_int(0);
    for (size_t m = 0; m < area; m += 4) {
        const size_t count = area - m < 4 ? area - m : 4;
        const float *x[4] = {corner, corner, corner, corner};
        for (size_t i = 0; i < count; ++i) {
            x[i] = corner + eng_pooled_offset(p, k->image, (uint8_t)(m + i));
        }
        sums(k, 4, kernel_h, run, x, sum);
        if (m == 0) {
            best = sum[0];
        }
        for (size_t i = m == 0; i < count; ++i) {
            take_larger(sum[i], spread_int((int32_t)(m + i)), &best, &at);
        }
    }
    store_first(y, k->mask, rectify(best, spread(p->limit)));
    store_bytes(winner, k->mask, at);
}

/* 2x2 pool of a 3x3 kernel on one channel, stride 1: everything that can be is a constant. */
ENG_INLINE void pooled_3x3(const block *k, const float *corner, float *y, uint8_t *winner)
{
    const size_t row = k->image->row;
    const float *const x[4] = {corner, corner + 1, corner + row, corner + row + 1};
    eng_floats sum[4];
    eng_ints at = spread_int(0);
    sums(k, 4, 3, 3, x, sum);
    take_larger(sum[1], spread_int(1), &sum[0], &at);
    take_larger(sum[2], spread_int(2), &sum[0], &at);
    take_larger(sum[3], spread_int(3), &sum[0], &at);
    store_first(y, k->mask, rectify(sum[0], spread(k->p->limit)));
    store_bytes(winner, k->mask, at);
}

/* A 3x3 kernel on one channel, stride 1, 2x2 pool: the first layer of most networks for digits. */
static int is_3x3_pool2(const eng_pooled_params *p)
{
    const eng_window *win = &p->window;
    return win->kernel_h == 3 && win->kernel_w == 3 && win->stride_h == 1 && win->stride_w == 1 && win->dilation_h == 1 &&
           win->dilation_w == 1 && p->in_c == 1 && p->pool_h == 2 && p->pool_w == 2;
}

static void forward_block(const block *k, size_t n, float *y, uint8_t *winner)
{
    const eng_pooled_params *const p = k->p;
    const int special = is_3x3_pool2(p);
    for (uint16_t r = 0; r < p->window.out_h / p->pool_h; ++r) {
        for (uint16_t q = 0; q < p->window.out_w / p->pool_w; ++q) {
            const float *const corner = k->image->x + eng_pooled_corner(p, k->image, r, q);
            if (special) {
                pooled_3x3(k, corner, y + n, winner + n);
            } else {
                pooled(k, p->window.kernel_h, (size_t)p->window.kernel_w * p->in_c, corner, y + n, winner + n);
            }
            y += p->out_c;
            winner += p->out_c;
        }
    }
}

static void eng_pooled_forward(const eng_pooled_params *p, const eng_pooled_image *image, const float *w, const float *bias,
                               float *rows, float *y, uint8_t *winner)
{
    if (p->window.dilation_h > 1 || p->window.dilation_w > 1) {
        forward_any(p, image, w, bias, rows, y, winner);
        return;
    }
    for (size_t n = 0; n < p->out_c; n += ENG_LANES) {
        const eng_mask mask = mask_first(p->out_c - n);
        const block k = {.p = p, .image = image, .w = w + n, .bias = load_first(bias + n, mask), .mask = mask};
        forward_block(&k, n, y, winner);
    }
}

/* Gradients of the weights of up to ENG_LANES channels, [tap][lane], to and from dw [channel][tap]. */
static void gather_taps(const float *dw, size_t channels, float taps[9][ENG_LANES])
{
    for (size_t t = 0; t < 9; ++t) {
        for (size_t n = 0; n < ENG_LANES; ++n) {
            taps[t][n] = n < channels ? dw[n * 9 + t] : 0.0f;
        }
    }
}

static void scatter_taps_back(size_t channels, float taps[9][ENG_LANES], float *dw)
{
    for (size_t n = 0; n < channels; ++n) {
        for (size_t t = 0; t < 9; ++t) {
            dw[n * 9 + t] = taps[t][n];
        }
    }
}

/* The winner's 3x3 pixels are picked out of the 4x4 that the pool window has seen. Nothing is read beyond the image: its last
 * four columns are the last position's. */
static void backward_block_3x3(const eng_pooled_params *p, const eng_pooled_image *image, const float *y, const uint8_t *winner,
                               const float *dy, eng_mask mask, float taps[9][ENG_LANES], float *dbias)
{
    const eng_floats limit = spread(p->limit);
    eng_floats sum[9], bias = load_first(dbias, mask);
#pragma GCC unroll 9
    for (size_t t = 0; t < 9; ++t) {
        sum[t] = load(taps[t]);
    }
    for (uint16_t r = 0; r < p->window.out_h / 2; ++r) {
        for (uint16_t q = 0; q < p->window.out_w / 2; ++q) {
            const eng_floats g = open_only(load_first(y, mask), limit, load_first(dy, mask));
            const eng_ints k = load_bytes(winner, mask);
            /* Position k = 2 * row + column begins at 4 * row + column of the patch. */
            const eng_ints start = subtract_ints(add_ints(k, k), and_ints(k, spread_int(1)));
            const eng_patch patch = patch_of(image->x + eng_pooled_corner(p, image, r, q), image->row);
            bias = add(bias, g);
#pragma GCC unroll 9
            for (int32_t t = 0; t < 9; ++t) {
                const eng_floats x = pick(patch, add_ints(start, spread_int(t / 3 * 4 + t % 3)));
                sum[t] = add(sum[t], multiply(g, x));
            }
            y += p->out_c;
            dy += p->out_c;
            winner += p->out_c;
        }
    }
#pragma GCC unroll 9
    for (size_t t = 0; t < 9; ++t) {
        store(taps[t], sum[t]);
    }
    store_first(dbias, mask, bias);
}

static void eng_pooled_backward(const eng_pooled_params *p, const eng_pooled_image *image, const float *y,
                                const uint8_t *winner, const float *dy, const eng_gradients_f32 *group, float *g)
{
    if (!is_3x3_pool2(p)) {
        backward_any(p, image, y, winner, dy, group, g);
        return;
    }
    for (size_t n = 0; n < p->out_c; n += ENG_LANES) {
        const size_t channels = p->out_c - n < ENG_LANES ? p->out_c - n : ENG_LANES;
        float taps[9][ENG_LANES];
        gather_taps(group->dw + n * 9, channels, taps);
        backward_block_3x3(p, image, y + n, winner + n, dy + n, mask_first(channels), taps, group->dbias + n);
        scatter_taps_back(channels, taps, group->dw + n * 9);
    }
}
