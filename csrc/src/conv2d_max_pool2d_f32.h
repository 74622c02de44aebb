/* SPDX-License-Identifier: Apache-2.0 */
/* Geometry of the fused convolution and max pool, and the two loops over one image that csrc/x86 has twins of. */
#ifndef ENG_CONV2D_MAX_POOL2D_F32_H
#define ENG_CONV2D_MAX_POOL2D_F32_H

#include "eng/train_f32.h"

#include "groups_f32.h"

typedef eng_conv2d_max_pool2d_f32_params eng_pooled_params;

/* An image whose pixels all taps can read: the input itself, or a copy with its padding. row: floats between rows. */
typedef struct {
    const float *x;
    float *write; /* the same for a gradient, else null */
    size_t row;
} eng_pooled_image;

static inline size_t eng_pooled_taps(const eng_pooled_params *p)
{
    return (size_t)p->window.kernel_h * p->window.kernel_w * p->in_c;
}

static inline size_t eng_pooled_image_size(const eng_pooled_params *p)
{
    return (size_t)p->window.in_h * p->window.in_w * p->in_c;
}

/* Positions after the pool. */
static inline size_t eng_pooled_positions(const eng_pooled_params *p)
{
    return (size_t)(p->window.out_h / p->pool_h) * (size_t)(p->window.out_w / p->pool_w);
}

/* Positions of a row before the pool that it reads. */
static inline size_t eng_pooled_columns(const eng_pooled_params *p)
{
    return (size_t)(p->window.out_w / p->pool_w) * p->pool_w;
}

/* Floats of the rows of sums that one row of the pool reads. */
static inline size_t eng_pooled_sums(const eng_pooled_params *p)
{
    return p->pool_h * eng_pooled_columns(p) * p->out_c;
}

/* Pixels in one direction from the first tap of the first position to the last tap of the last position that is pooled. */
static inline size_t eng_pooled_reach(uint16_t out, uint16_t pool, uint16_t stride, uint16_t kernel, uint16_t dilation)
{
    return ((size_t)(out / pool) * pool - 1) * stride + (size_t)(kernel - 1u) * dilation + 1;
}

static inline size_t eng_pooled_height(const eng_pooled_params *p)
{
    const eng_window *win = &p->window;
    return eng_pooled_reach(win->out_h, p->pool_h, win->stride_h, win->kernel_h, win->dilation_h);
}

static inline size_t eng_pooled_width(const eng_pooled_params *p)
{
    const eng_window *win = &p->window;
    return eng_pooled_reach(win->out_w, p->pool_w, win->stride_w, win->kernel_w, win->dilation_w);
}

/* Floats of an image with padding, 0 if no tap reads padding. */
static inline size_t eng_pooled_padded(const eng_pooled_params *p)
{
    const eng_window *win = &p->window;
    const size_t height = eng_pooled_height(p), width = eng_pooled_width(p);
    const int inside = win->pad_top == 0 && win->pad_left == 0 && height <= win->in_h && width <= win->in_w;
    return inside ? 0 : height * width * p->in_c;
}

/* Rows and columns of the image that its padded form has, with their place in both. */
typedef struct {
    size_t rows, bytes, row; /* bytes of a row's part, floats between padded rows */
    size_t start;            /* of the first common pixel in the padded form */
} eng_pooled_common;

static inline eng_pooled_common eng_pooled_overlap(const eng_pooled_params *p)
{
    const eng_window *win = &p->window;
    const size_t height = eng_pooled_height(p), width = eng_pooled_width(p);
    const size_t rows = height > win->pad_top ? height - win->pad_top : 0;
    const size_t columns = width > win->pad_left ? width - win->pad_left : 0;
    const eng_pooled_common common = {
        .rows = rows < win->in_h ? rows : win->in_h,
        .bytes = (columns < win->in_w ? columns : win->in_w) * p->in_c * sizeof(float),
        .row = width * p->in_c,
        .start = (win->pad_top * width + win->pad_left) * p->in_c,
    };
    return common;
}

static inline eng_pooled_image eng_pooled_read(const eng_pooled_params *p, const float *x, float *padded)
{
    eng_pooled_image image = {.x = x, .write = NULL, .row = (size_t)p->window.in_w * p->in_c};
    const size_t size = eng_pooled_padded(p);
    if (size > 0) {
        const eng_pooled_common common = eng_pooled_overlap(p);
        memset(padded, 0, size * sizeof *padded);
        for (size_t i = 0; i < common.rows; ++i) {
            memcpy(padded + common.start + i * common.row, x + i * image.row, common.bytes);
        }
        image.x = padded;
        image.row = common.row;
    }
    return image;
}

/* A gradient of zeros: dx itself, or its padded form, which eng_pooled_copy_back brings to dx. */
static inline eng_pooled_image eng_pooled_write(const eng_pooled_params *p, float *dx, float *padded)
{
    const size_t size = eng_pooled_padded(p);
    const eng_pooled_image image = {
        .x = NULL,
        .write = size > 0 ? padded : dx,
        .row = size > 0 ? eng_pooled_overlap(p).row : (size_t)p->window.in_w * p->in_c,
    };
    memset(image.write, 0, (size > 0 ? size : eng_pooled_image_size(p)) * sizeof *dx);
    return image;
}

static inline void eng_pooled_copy_back(const eng_pooled_params *p, const eng_pooled_image *image, float *dx)
{
    if (eng_pooled_padded(p) > 0) {
        const eng_pooled_common common = eng_pooled_overlap(p);
        memset(dx, 0, eng_pooled_image_size(p) * sizeof *dx);
        for (size_t i = 0; i < common.rows; ++i) {
            memcpy(dx + i * p->window.in_w * p->in_c, image->write + common.start + i * common.row, common.bytes);
        }
    }
}

/* Offset of what the first tap of the first position of pool window (r, q) reads. */
static inline size_t eng_pooled_corner(const eng_pooled_params *p, const eng_pooled_image *image, uint16_t r, uint16_t q)
{
    return (size_t)r * p->pool_h * p->window.stride_h * image->row + (size_t)q * p->pool_w * p->window.stride_w * p->in_c;
}

/* From there to what the first tap of position k of the pool window reads. */
static inline size_t eng_pooled_offset(const eng_pooled_params *p, const eng_pooled_image *image, uint8_t k)
{
    const size_t row = (size_t)k / p->pool_w, column = (size_t)k % p->pool_w;
    return row * p->window.stride_h * image->row + column * p->window.stride_w * p->in_c;
}

/* to[j][c] += factor * from[j * dilation][c], or with the dilation on the other side. */
static inline void eng_pooled_add_row(const eng_pooled_params *p, float factor, const float *from, float *to)
{
    for (uint16_t j = 0; j < p->window.kernel_w; ++j) {
        for (uint16_t c = 0; c < p->in_c; ++c) {
            to[c] += factor * from[c];
        }
        from += p->in_c;
        to += (size_t)p->window.dilation_w * p->in_c;
    }
}

/* The loops over one image: y and winner of all positions, w [taps][out_c]; sums and g are scratch. */
static void eng_pooled_forward(const eng_pooled_params *p, const eng_pooled_image *image, const float *w, const float *bias,
                               float *sums, float *y, uint8_t *winner);
static void eng_pooled_backward(const eng_pooled_params *p, const eng_pooled_image *image, const float *y,
                                const uint8_t *winner, const float *dy, const eng_gradients_f32 *group, float *g);

#endif
