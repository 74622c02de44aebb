/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include <string.h>

#include "eng/prepare.h"

#define LARGEST (UINT64_C(1) << 26)

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Pixels from the first that any position reads to the last, padding included. */
static uint64_t extent(uint16_t out, uint16_t stride, uint16_t kernel, uint16_t dilation)
{
    return (uint64_t)(out - 1) * stride + (uint64_t)(kernel - 1) * dilation + 1;
}

bool eng_x86_image_plan(const eng_x86_format *format, const eng_conv2d_s8_params *conv, eng_x86_image *image)
{
    const eng_window *v = &conv->window;
    const uint64_t rows = larger(extent(v->out_h, v->stride_h, v->kernel_h, v->dilation_h), (uint64_t)v->pad_top + v->in_h);
    const uint64_t columns = larger(extent(v->out_w, v->stride_w, v->kernel_w, v->dilation_w), (uint64_t)v->pad_left + v->in_w);
    if (rows * columns > LARGEST || rows * columns * conv->in_c > LARGEST) {
        return false;
    }
    memset(image, 0, sizeof *image);
    image->x_row = (size_t)v->in_w * conv->in_c;
    image->x_codes = (size_t)v->in_h * image->x_row;
    image->row = (size_t)columns * conv->in_c;
    image->left = (size_t)v->pad_left * conv->in_c;
    image->x_rows = v->in_h;
    image->rows = (uint32_t)rows;
    image->top = v->pad_top;
    image->padding = (int16_t)(conv->zero_x + format->offset);
    return true;
}

uint32_t eng_x86_ceiling(uint32_t n, uint32_t unit)
{
    return (n + unit - 1) / unit;
}

size_t eng_x86_aligned(size_t size)
{
    return (size + ENG_PREPARE_ALIGNMENT - 1) / ENG_PREPARE_ALIGNMENT * ENG_PREPARE_ALIGNMENT;
}

size_t eng_x86_image_size(const eng_x86_format *format, const eng_x86_image *image, uint32_t rows)
{
    return eng_x86_aligned(rows * image->row * format->code_bytes + ENG_PREPARE_ALIGNMENT);
}
