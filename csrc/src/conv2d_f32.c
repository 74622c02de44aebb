/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_f32.h"

#include "groups_f32.h"
#include "taps_f32.h"

static size_t patch_size(const eng_conv2d_f32_params *p)
{
    return (size_t)p->window.kernel_h * p->window.kernel_w * p->in_c;
}

static size_t image_size(const eng_conv2d_f32_params *p)
{
    return (size_t)p->window.in_h * p->window.in_w * p->in_c;
}

/* A row of a kernel at position q copied from a row of the image, zeros outside. */
static void gather_border(const eng_conv2d_f32_params *p, const float *x_row, uint16_t q, float *patch)
{
    const eng_window *win = &p->window;
    for (uint16_t j = 0; j < win->kernel_w; ++j) {
        const int32_t column = eng_tap_source(q, win->stride_w, j, win->dilation_w, win->pad_left);
        if (column >= 0 && column < (int32_t)win->in_w) {
            memcpy(patch, x_row + (size_t)column * p->in_c, p->in_c * sizeof *patch);
        } else {
            memset(patch, 0, p->in_c * sizeof *patch);
        }
        patch += p->in_c;
    }
}

/* Positions [first, end) of a row, all of whose taps are inside the image. */
typedef struct {
    uint16_t first, end;
} span;

static span positions_inside(const eng_window *win)
{
    const uint16_t last_tap = (uint16_t)(win->kernel_w - 1);
    uint16_t q = 0;
    while (q < win->out_w && eng_tap_source(q, win->stride_w, 0, 1, win->pad_left) < 0) {
        ++q;
    }
    span inside = {.first = q, .end = q};
    while (q < win->out_w && eng_tap_source(q, win->stride_w, last_tap, win->dilation_w, win->pad_left) < (int32_t)win->in_w) {
        inside.end = ++q;
    }
    return inside;
}

/* gather_border for all positions of inside; position is the innermost loop, since the copies of one are short. */
static void gather_inside(const eng_conv2d_f32_params *p, span inside, const float *x_row, float *restrict patches)
{
    const eng_window *win = &p->window;
    const size_t patch = patch_size(p);
    const size_t stride = (size_t)win->stride_w * p->in_c;
    const uint16_t count = (uint16_t)(inside.end - inside.first);
    if (count == 0) {
        return;
    }
    patches += inside.first * patch;
    for (uint16_t j = 0; j < win->kernel_w; ++j) {
        const float *x =
            x_row + (size_t)eng_tap_source(inside.first, win->stride_w, j, win->dilation_w, win->pad_left) * p->in_c;
        for (uint16_t c = 0; c < p->in_c; ++c) {
            for (uint16_t q = 0; q < count; ++q) {
                patches[q * patch] = x[q * stride + c];
            }
            ++patches;
        }
    }
}

/* A row of the kernel at all positions of an output row. */
static void gather_line(const eng_conv2d_f32_params *p, span inside, const float *x_row, float *patches)
{
    const size_t patch = patch_size(p);
    for (uint16_t q = 0; q < inside.first; ++q) {
        gather_border(p, x_row, q, patches + q * patch);
    }
    gather_inside(p, inside, x_row, patches);
    for (uint16_t q = inside.end; q < p->window.out_w; ++q) {
        gather_border(p, x_row, q, patches + q * patch);
    }
}

/* patches [out_w][kernel_h][kernel_w][in_c] of output row r. */
static void gather_row(const eng_conv2d_f32_params *p, const float *x, uint16_t r, float *patches)
{
    const eng_window *win = &p->window;
    const size_t taps = (size_t)win->kernel_w * p->in_c;
    const span inside = positions_inside(win);
    for (uint16_t i = 0; i < win->kernel_h; ++i) {
        const int32_t row = eng_tap_source(r, win->stride_h, i, win->dilation_h, win->pad_top);
        if (row >= 0 && row < (int32_t)win->in_h) {
            gather_line(p, inside, x + (size_t)row * win->in_w * p->in_c, patches);
        } else {
            for (uint16_t q = 0; q < win->out_w; ++q) {
                memset(patches + q * patch_size(p), 0, taps * sizeof *patches);
            }
        }
        patches += taps;
    }
}

/* The reverse for gradients: adds a row of a patch to the pixels that it came from. */
static void scatter_taps(const eng_conv2d_f32_params *p, const float *patch, uint16_t q, float *restrict dx_row)
{
    const eng_window *win = &p->window;
    for (uint16_t j = 0; j < win->kernel_w; ++j) {
        const int32_t column = eng_tap_source(q, win->stride_w, j, win->dilation_w, win->pad_left);
        if (column >= 0 && column < (int32_t)win->in_w) {
            float *dx = dx_row + (size_t)column * p->in_c;
            for (uint16_t c = 0; c < p->in_c; ++c) {
                dx[c] = ENG_ADD(dx[c], patch[c]);
            }
        }
        patch += p->in_c;
    }
}

static void scatter_row(const eng_conv2d_f32_params *p, const float *patches, uint16_t r, float *dx)
{
    const eng_window *win = &p->window;
    const size_t taps = (size_t)win->kernel_w * p->in_c;
    for (uint16_t q = 0; q < win->out_w; ++q) {
        for (uint16_t i = 0; i < win->kernel_h; ++i) {
            const int32_t row = eng_tap_source(r, win->stride_h, i, win->dilation_h, win->pad_top);
            if (row >= 0 && row < (int32_t)win->in_h) {
                scatter_taps(p, patches, q, dx + (size_t)row * win->in_w * p->in_c);
            }
            patches += taps;
        }
    }
}

size_t eng_conv2d_f32_scratch(const eng_conv2d_f32_params *p)
{
    return ((size_t)p->out_c + p->window.out_w) * patch_size(p) * sizeof(float);
}

void eng_conv2d_f32(const eng_conv2d_f32_params *p, const float *x, const float *w, const float *bias, float *y, float *scratch)
{
    const eng_window *win = &p->window;
    const size_t patch = patch_size(p);
    const eng_matrix_size w_size = {.rows = p->out_c, .cols = patch};
    const eng_matrix_size row_size = {.rows = win->out_w, .cols = p->out_c};
    const eng_matmul_f32_params product = {
        .rows = win->out_w,
        .cols = p->out_c,
        .steps = patch,
        .a_row = patch,
        .a_step = 1,
        .b_step = p->out_c,
        .c_row = p->out_c,
    };
    float *patches = scratch + patch * p->out_c;
    eng_transpose_f32(&w_size, w, scratch);
    for (size_t b = 0; b < p->batch; ++b) {
        for (uint16_t r = 0; r < win->out_h; ++r) {
            gather_row(p, x, r, patches);
            eng_broadcast_f32(&row_size, bias, y);
            eng_matmul_f32(&product, patches, scratch, y);
            y += row_size.rows * row_size.cols;
        }
        x += image_size(p);
    }
}

size_t eng_conv2d_f32_backward_scratch(const eng_conv2d_f32_params *p)
{
    const size_t patch = patch_size(p);
    return eng_groups_scratch(p->batch, patch * p->out_c, p->out_c) + 2 * (size_t)p->window.out_w * patch * sizeof(float);
}

/* dw and dbias from one output row and its patches. */
static void row_backward_weights(const eng_conv2d_f32_params *p, const float *patches, const float *dy,
                                 const eng_gradients_f32 *group)
{
    const eng_matrix_size dy_size = {.rows = p->window.out_w, .cols = p->out_c};
    const size_t patch = patch_size(p);
    const eng_matmul_f32_params product = {
        .rows = p->out_c,
        .cols = patch,
        .steps = p->window.out_w,
        .a_row = 1,
        .a_step = p->out_c,
        .b_step = patch,
        .c_row = patch,
    };
    eng_sum_rows_f32(&dy_size, dy, group->dbias);
    eng_matmul_f32(&product, dy, patches, group->dw);
}

/* Gradients of the patches of one output row: dy [out_w][out_c] times w. */
static void row_backward_patches(const eng_conv2d_f32_params *p, const float *w, const float *dy, float *dpatches)
{
    const size_t patch = patch_size(p);
    const eng_matmul_f32_params product = {
        .rows = p->window.out_w,
        .cols = patch,
        .steps = p->out_c,
        .a_row = p->out_c,
        .a_step = 1,
        .b_step = patch,
        .c_row = patch,
    };
    memset(dpatches, 0, product.rows * product.cols * sizeof *dpatches);
    eng_matmul_f32(&product, dy, w, dpatches);
}

/* One sample; dx may be null, scratch holds two rows of patches. */
static void sample_backward(const eng_conv2d_f32_params *p, const float *x, const float *w, const float *dy,
                            const eng_gradients_f32 *group, float *dx, float *scratch)
{
    const eng_window *win = &p->window;
    float *const dpatches = scratch + win->out_w * patch_size(p);
    for (uint16_t r = 0; r < win->out_h; ++r) {
        gather_row(p, x, r, scratch);
        row_backward_weights(p, scratch, dy, group);
        if (dx) {
            row_backward_patches(p, w, dy, dpatches);
            scatter_row(p, dpatches, r, dx);
        }
        dy += (size_t)win->out_w * p->out_c;
    }
}

void eng_conv2d_f32_backward(const eng_conv2d_f32_params *p, const float *x, const float *w, const float *dy, float *dw,
                             float *dbias, float *dx, float *scratch)
{
    const eng_gradients_f32 all = {.dw = dw, .dbias = dbias, .count = patch_size(p) * p->out_c, .outputs = p->out_c};
    float *const rows = scratch + eng_groups_scratch(p->batch, all.count, all.outputs) / sizeof *scratch;
    eng_gradients_f32 group = all;
    if (dx) {
        memset(dx, 0, p->batch * image_size(p) * sizeof *dx);
    }
    for (size_t b = 0; b < p->batch; ++b) {
        if (b % ENG_GROUP_F32 == 0) {
            group = eng_group_begin(&all, b, scratch);
        }
        sample_backward(p, x, w, dy, &group, dx, rows);
        if (b % ENG_GROUP_F32 == ENG_GROUP_F32 - 1 || b + 1 == p->batch) {
            eng_group_end(&all, &group);
        }
        x += image_size(p);
        dy += (size_t)p->window.out_h * p->window.out_w * p->out_c;
        dx = dx ? dx + image_size(p) : dx;
    }
}
