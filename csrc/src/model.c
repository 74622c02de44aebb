/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/model.h"

/* Sizes are computed in uint64_t: at most 2^32 elements of 4 bytes, or 2^16 * 2^16 * 2^16 of one. */

static uint64_t in_pixels(const eng_window *w)
{
    return (uint64_t)w->in_h * w->in_w;
}

static uint64_t out_pixels(const eng_window *w)
{
    return (uint64_t)w->out_h * w->out_w;
}

static uint64_t padded_size(const eng_pad_s8_params *p)
{
    const uint64_t rows = (uint64_t)p->top + p->in_h + p->bottom, columns = (uint64_t)p->left + p->in_w + p->right;
    return rows * columns * ((uint64_t)p->front + p->channels + p->back);
}

static uint64_t x_size(const eng_layer *l)
{
    switch (l->op) {
    case ENG_OP_DENSE_S8:
        return ((const eng_dense_s8_params *)l->params)->in;
    case ENG_OP_DENSE_WIDE_S8: {
        const eng_dense_wide_s8_params *p = l->params;
        return (uint64_t)p->rows * p->in;
    }
    case ENG_OP_CONV2D_S8:
    case ENG_OP_DEPTHWISE_CONV2D_S8: {
        const eng_conv2d_s8_params *p = l->params;
        return in_pixels(&p->window) * p->in_c;
    }
    case ENG_OP_CONV2D_MAX_POOL2D_S8: {
        const eng_conv2d_max_pool2d_s8_params *p = l->params;
        return in_pixels(&p->conv.window) * p->conv.in_c;
    }
    case ENG_OP_MAX_POOL2D_S8:
    case ENG_OP_AVERAGE_POOL2D_S8: {
        const eng_pool2d_s8_params *p = l->params;
        return in_pixels(&p->window) * p->channels;
    }
    case ENG_OP_REQUANTIZE_S8:
    case ENG_OP_REQUANTIZE_U8_S8:
    case ENG_OP_REQUANTIZE_S8_U8:
        return ((const eng_requantize_s8_params *)l->params)->count;
    case ENG_OP_SOFTMAX_S8: {
        const eng_softmax_s8_params *p = l->params;
        return (uint64_t)p->rows * p->size;
    }
    case ENG_OP_ARGMAX_S8: {
        const eng_argmax_s8_params *p = l->params;
        return (uint64_t)p->rows * p->size;
    }
    case ENG_OP_QUANTIZE_F32_S8:
    case ENG_OP_QUANTIZE_F32_U8:
        return (uint64_t)((const eng_quantize_params *)l->params)->count * sizeof(float);
    case ENG_OP_DEQUANTIZE_S8_F32:
    case ENG_OP_DEQUANTIZE_U8_F32:
        return ((const eng_quantize_params *)l->params)->count;
    case ENG_OP_ADD_S8:
    case ENG_OP_SUB_S8:
        return ((const eng_add_s8_params *)l->params)->x.size;
    case ENG_OP_MUL_S8:
        return ((const eng_mul_s8_params *)l->params)->x.size;
    case ENG_OP_MEAN_S8: {
        const eng_mean_s8_params *p = l->params;
        return (uint64_t)p->pixels * p->channels;
    }
    case ENG_OP_COPY_S8: {
        const eng_copy_s8_params *p = l->params;
        return (uint64_t)p->rows * p->size;
    }
    case ENG_OP_PAD_S8: {
        const eng_pad_s8_params *p = l->params;
        return (uint64_t)p->in_h * p->in_w * p->channels;
    }
    case ENG_OP_LOOKUP_S8:
        return ((const eng_lookup_s8_params *)l->params)->count;
    default:
        return 0;
    }
}

static uint32_t x2_size(const eng_layer *l)
{
    if (l->w != NULL) {
        return 0; /* a constant */
    }
    switch (l->op) {
    case ENG_OP_ADD_S8:
    case ENG_OP_SUB_S8:
        return ((const eng_add_s8_params *)l->params)->x2.size;
    case ENG_OP_MUL_S8:
        return ((const eng_mul_s8_params *)l->params)->x2.size;
    default:
        return 0;
    }
}

static uint64_t y_size(const eng_layer *l)
{
    switch (l->op) {
    case ENG_OP_DENSE_S8:
        return ((const eng_dense_s8_params *)l->params)->out;
    case ENG_OP_DENSE_WIDE_S8: {
        const eng_dense_wide_s8_params *p = l->params;
        return (uint64_t)p->rows * p->out;
    }
    case ENG_OP_CONV2D_S8:
    case ENG_OP_DEPTHWISE_CONV2D_S8: {
        const eng_conv2d_s8_params *p = l->params;
        return out_pixels(&p->window) * p->out_c;
    }
    case ENG_OP_CONV2D_MAX_POOL2D_S8: {
        const eng_conv2d_max_pool2d_s8_params *p = l->params;
        return out_pixels(&p->pool) * p->conv.out_c;
    }
    case ENG_OP_MAX_POOL2D_S8:
    case ENG_OP_AVERAGE_POOL2D_S8: {
        const eng_pool2d_s8_params *p = l->params;
        return out_pixels(&p->window) * p->channels;
    }
    case ENG_OP_ARGMAX_S8:
        return (uint64_t)((const eng_argmax_s8_params *)l->params)->rows * sizeof(int32_t);
    case ENG_OP_QUANTIZE_F32_S8:
    case ENG_OP_QUANTIZE_F32_U8:
        return ((const eng_quantize_params *)l->params)->count;
    case ENG_OP_DEQUANTIZE_S8_F32:
    case ENG_OP_DEQUANTIZE_U8_F32:
        return (uint64_t)((const eng_quantize_params *)l->params)->count * sizeof(float);
    case ENG_OP_ADD_S8:
    case ENG_OP_SUB_S8:
        return ((const eng_add_s8_params *)l->params)->count;
    case ENG_OP_MUL_S8:
        return ((const eng_mul_s8_params *)l->params)->count;
    case ENG_OP_MEAN_S8:
        return ((const eng_mean_s8_params *)l->params)->channels;
    case ENG_OP_COPY_S8: {
        const eng_copy_s8_params *p = l->params;
        return (uint64_t)p->rows * p->stride;
    }
    case ENG_OP_PAD_S8:
        return padded_size(l->params);
    default: /* requantize, softmax and look-up keep their size */
        return x_size(l);
    }
}

static uint32_t saturated(uint64_t size)
{
    return size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
}

uint32_t eng_layer_x_size(const eng_layer *l)
{
    return l->params == NULL ? 0 : saturated(x_size(l));
}

uint32_t eng_layer_x2_size(const eng_layer *l)
{
    return l->params == NULL ? 0 : x2_size(l);
}

uint32_t eng_layer_y_size(const eng_layer *l)
{
    return l->params == NULL ? 0 : saturated(y_size(l));
}

uint32_t eng_layer_scratch_size(const eng_layer *l)
{
    (void)l;
    return 0;
}

void eng_layer_run(const eng_layer *l, uint8_t *arena)
{
    /* Aligned where the check demanded it; void * between keeps -Wcast-align quiet about the wide ones. */
    void *const x = arena + l->x;
    const int8_t *const x2 = l->w != NULL ? l->w : (const int8_t *)(arena + l->x2);
    void *const y = arena + l->y;
    switch (l->op) {
    case ENG_OP_DENSE_S8:
        eng_dense_s8(l->params, x, l->w, l->bias, y);
        break;
    case ENG_OP_CONV2D_S8:
        eng_conv2d_s8(l->params, x, l->w, l->bias, y);
        break;
    case ENG_OP_CONV2D_MAX_POOL2D_S8:
        eng_conv2d_max_pool2d_s8(l->params, x, l->w, l->bias, y);
        break;
    case ENG_OP_MAX_POOL2D_S8:
        eng_max_pool2d_s8(l->params, x, y);
        break;
    case ENG_OP_AVERAGE_POOL2D_S8:
        eng_average_pool2d_s8(l->params, x, y);
        break;
    case ENG_OP_REQUANTIZE_S8:
        eng_requantize_s8(l->params, x, y);
        break;
    case ENG_OP_SOFTMAX_S8:
        eng_softmax_s8(l->params, x, y);
        break;
    case ENG_OP_ARGMAX_S8:
        eng_argmax_s8(l->params, x, y);
        break;
    case ENG_OP_QUANTIZE_F32_S8:
        eng_quantize_f32_s8(l->params, x, y);
        break;
    case ENG_OP_DEQUANTIZE_S8_F32:
        eng_dequantize_s8_f32(l->params, x, y);
        break;
    case ENG_OP_DEPTHWISE_CONV2D_S8:
        eng_depthwise_conv2d_s8(l->params, x, l->w, l->bias, y);
        break;
    case ENG_OP_ADD_S8:
        eng_add_s8(l->params, x, x2, y);
        break;
    case ENG_OP_SUB_S8:
        eng_sub_s8(l->params, x, x2, y);
        break;
    case ENG_OP_MUL_S8:
        eng_mul_s8(l->params, x, x2, y);
        break;
    case ENG_OP_MEAN_S8:
        eng_mean_s8(l->params, x, y);
        break;
    case ENG_OP_COPY_S8:
        eng_copy_s8(l->params, x, y);
        break;
    case ENG_OP_PAD_S8:
        eng_pad_s8(l->params, x, y);
        break;
    case ENG_OP_LOOKUP_S8:
        eng_lookup_s8(l->params, x, y);
        break;
    case ENG_OP_REQUANTIZE_U8_S8:
        eng_requantize_u8_s8(l->params, x, y);
        break;
    case ENG_OP_REQUANTIZE_S8_U8:
        eng_requantize_s8_u8(l->params, x, y);
        break;
    case ENG_OP_QUANTIZE_F32_U8:
        eng_quantize_f32_u8(l->params, x, y);
        break;
    case ENG_OP_DEQUANTIZE_U8_F32:
        eng_dequantize_u8_f32(l->params, x, y);
        break;
    case ENG_OP_DENSE_WIDE_S8:
        eng_dense_wide_s8(l->params, x, l->w, l->bias, y);
        break;
    default:
        break;
    }
}

void eng_model_run(const eng_model *m, uint8_t *arena)
{
    for (uint16_t i = 0; i < m->count; ++i) {
        eng_layer_run(m->layers + i, arena);
    }
}
