/* SPDX-License-Identifier: Apache-2.0 */
/* Each check returns the first thing that is wrong. */
#include <float.h>
#include <stdbool.h>

#include "eng/flash.h"
#include "eng/model.h"

#define INT32_LIMIT (UINT64_C(1) << 31)

static bool is_aligned(const void *p, size_t alignment)
{
    return (uintptr_t)p % alignment == 0;
}

static eng_status check_output(const eng_output_s8 *y)
{
    return y->lo <= y->hi ? ENG_OK : ENG_ERR_RANGE;
}

static eng_status check_rescale(const eng_rescale *r)
{
    const bool normal = r->mult == 0 || r->mult >= (INT32_C(1) << 30);
    const bool one_shift = r->left == 0 || r->right == 0;
    return normal && one_shift && r->left <= 30 && r->right <= 31 ? ENG_OK : ENG_ERR_RANGE;
}

/* What dense and convolution have in common: `size` weights for each of `out` outputs. */
typedef struct {
    const int8_t *w;
    const int32_t *bias;
    const eng_rescale *rescale;
    uint16_t size, out;
    uint8_t rescale_step;
    uint16_t next_weight, next_output; /* steps in w */
    uint8_t x_max;                     /* largest |x - zero point| */
    bool left_must_hold;               /* |acc| * 2^left < 2^31 as well */
} products;

/* |bias| + x_max * sum |w| of one output, below 2^33. */
static uint64_t accumulator_bound(const products *m, const int8_t *w, int32_t bias)
{
    uint64_t sum = 0;
    for (uint16_t k = 0; k < m->size; ++k) {
        const int16_t code = eng_flash_s8(w);
        sum += (uint64_t)(code < 0 ? -code : code);
        w += m->next_weight;
    }
    return sum * m->x_max + (uint64_t)(bias < 0 ? -(int64_t)bias : bias);
}

static eng_status check_products(const products *m)
{
    if (m->w == NULL || m->bias == NULL || m->rescale == NULL) {
        return ENG_ERR_NULL;
    }
    if (!is_aligned(m->bias, _Alignof(int32_t)) || !is_aligned(m->rescale, _Alignof(eng_rescale))) {
        return ENG_ERR_ALIGN;
    }
    if (m->rescale_step > 1) {
        return ENG_ERR_RANGE;
    }
    for (uint16_t n = 0; n < m->out; ++n) {
        const eng_rescale r = eng_flash_rescale(m->rescale + (size_t)n * m->rescale_step);
        if (check_rescale(&r) != ENG_OK) {
            return ENG_ERR_RANGE;
        }
        const uint64_t bound = accumulator_bound(m, m->w + (size_t)n * m->next_output, eng_flash_s32(m->bias + n));
        if (bound >= INT32_LIMIT || (m->left_must_hold && bound << r.left >= INT32_LIMIT)) {
            return ENG_ERR_OVERFLOW;
        }
    }
    return ENG_OK;
}

static eng_status check_dense(const eng_layer *l)
{
    const eng_dense_s8_params *p = l->params;
    if (p->in == 0 || p->out == 0) {
        return ENG_ERR_SHAPE;
    }
    const products m = {l->w, l->bias, p->rescale, p->in, p->out, p->rescale_step, 1, p->in, 128, false};
    const eng_status status = check_output(&p->y);
    return status == ENG_OK ? check_products(&m) : status;
}

static eng_status check_ratio(const eng_ratio *r)
{
    const uint32_t exponent = r->high >> 20; /* with the sign */
    const bool is_zero = r->high == 0 && r->low == 0;
    return is_zero || (exponent >= 1 && exponent <= 2046) ? ENG_OK : ENG_ERR_RANGE;
}

static eng_status check_dense_wide(const eng_layer *l)
{
    const eng_dense_wide_s8_params *p = l->params;
    if (p->rows == 0 || p->in == 0 || p->out == 0) {
        return ENG_ERR_SHAPE;
    }
    if (p->ratio == NULL) {
        return ENG_ERR_NULL;
    }
    if (!is_aligned(p->ratio, _Alignof(eng_ratio))) {
        return ENG_ERR_ALIGN;
    }
    if (p->ratio_step > 1) {
        return ENG_ERR_RANGE;
    }
    for (uint32_t n = 0; n < (p->ratio_step != 0 ? p->out : 1u); ++n) {
        const eng_ratio r = {eng_flash_u32(&p->ratio[n].low), eng_flash_u32(&p->ratio[n].high)};
        if (check_ratio(&r) != ENG_OK) {
            return ENG_ERR_RANGE;
        }
    }
    static const eng_rescale none = {0, 0, 0};
    const products m = {l->w, l->bias, &none, p->in, p->out, 0, 1, p->in, 128, false};
    const eng_status status = check_output(&p->y);
    return status == ENG_OK ? check_products(&m) : status;
}

/* One axis of a window: sizes, and a tap inside the image at every position. */
static bool axis_fits(uint16_t in, uint16_t out, uint16_t kernel, uint16_t stride, uint16_t dilation, uint16_t pad)
{
    if (in == 0 || out == 0 || kernel == 0 || stride == 0 || dilation == 0) {
        return false;
    }
    if ((uint32_t)(kernel - UINT16_C(1)) * dilation > UINT16_MAX) {
        return false;
    }
    for (uint16_t position = 0; position < out; ++position) {
        const int64_t origin = (int64_t)((uint64_t)position * stride) - pad;
        const int64_t outside = origin < 0 ? (-origin + dilation - 1) / dilation : 0;
        if (outside >= kernel || origin + outside * dilation >= in) {
            return false;
        }
    }
    return true;
}

static eng_status check_window(const eng_window *w)
{
    const bool rows = axis_fits(w->in_h, w->out_h, w->kernel_h, w->stride_h, w->dilation_h, w->pad_top);
    const bool columns = axis_fits(w->in_w, w->out_w, w->kernel_w, w->stride_w, w->dilation_w, w->pad_left);
    return rows && columns ? ENG_OK : ENG_ERR_SHAPE;
}

static uint8_t farthest_from(int8_t zero)
{
    return (uint8_t)(zero < 0 ? 127 - zero : 128 + zero);
}

static eng_status check_conv(const eng_layer *l, const eng_conv2d_s8_params *p, bool left_must_hold)
{
    const eng_window *v = &p->window;
    const uint64_t size = (uint64_t)v->kernel_h * v->kernel_w * p->in_c;
    if (check_window(v) != ENG_OK || p->in_c == 0 || p->out_c == 0 || size > UINT16_MAX) {
        return ENG_ERR_SHAPE;
    }
    const products m = {l->w,
                        l->bias,
                        p->rescale,
                        (uint16_t)size,
                        p->out_c,
                        p->rescale_step,
                        1,
                        (uint16_t)size,
                        farthest_from(p->zero_x),
                        left_must_hold};
    const eng_status status = check_output(&p->y);
    return status == ENG_OK ? check_products(&m) : status;
}

static eng_status check_depthwise(const eng_layer *l)
{
    const eng_conv2d_s8_params *p = l->params;
    const uint32_t size = (uint32_t)p->window.kernel_h * p->window.kernel_w;
    if (check_window(&p->window) != ENG_OK || p->in_c == 0 || p->out_c == 0 || p->out_c % p->in_c != 0 || size > UINT16_MAX) {
        return ENG_ERR_SHAPE;
    }
    const products m = {
        l->w, l->bias, p->rescale, (uint16_t)size, p->out_c, p->rescale_step, p->out_c, 1, farthest_from(p->zero_x), false};
    const eng_status status = check_output(&p->y);
    return status == ENG_OK ? check_products(&m) : status;
}

static eng_status check_conv_pool(const eng_layer *l)
{
    const eng_conv2d_max_pool2d_s8_params *p = l->params;
    const eng_window *v = &p->conv.window;
    if (check_window(&p->pool) != ENG_OK || p->pool.in_h != v->out_h || p->pool.in_w != v->out_w) {
        return ENG_ERR_SHAPE;
    }
    return check_conv(l, &p->conv, true);
}

static eng_status check_pool(const eng_layer *l)
{
    const eng_pool2d_s8_params *p = l->params;
    if (check_window(&p->window) != ENG_OK || p->channels == 0) {
        return ENG_ERR_SHAPE;
    }
    if ((uint32_t)p->window.kernel_h * p->window.kernel_w >= (UINT32_C(1) << 24)) {
        return ENG_ERR_OVERFLOW;
    }
    return p->lo <= p->hi ? ENG_OK : ENG_ERR_RANGE;
}

static eng_status check_requantize(const eng_layer *l)
{
    const eng_requantize_s8_params *p = l->params;
    if (p->count == 0) {
        return ENG_ERR_SHAPE;
    }
    const eng_status status = check_rescale(&p->rescale);
    return status == ENG_OK ? check_output(&p->y) : status;
}

static eng_status check_softmax(const eng_layer *l)
{
    const eng_softmax_s8_params *p = l->params;
    if (p->rows == 0 || p->size == 0 || p->size > 4095 || p->table_size == 0 || p->table_size > 256) {
        return ENG_ERR_SHAPE;
    }
    if (p->table == NULL) {
        return ENG_ERR_NULL;
    }
    if (!is_aligned(p->table, _Alignof(int32_t))) {
        return ENG_ERR_ALIGN;
    }
    for (uint16_t d = 0; d < p->table_size; ++d) {
        if (eng_flash_s32(p->table + d) < 0) {
            return ENG_ERR_RANGE;
        }
    }
    return eng_flash_s32(p->table) == INT32_MAX ? ENG_OK : ENG_ERR_RANGE;
}

static eng_status check_argmax(const eng_layer *l)
{
    const eng_argmax_s8_params *p = l->params;
    return p->rows != 0 && p->size != 0 ? ENG_OK : ENG_ERR_SHAPE;
}

static eng_status check_quantize(const eng_layer *l)
{
    const eng_quantize_params *p = l->params;
    if (p->count == 0) {
        return ENG_ERR_SHAPE;
    }
    return p->scale > 0.0f && p->scale <= FLT_MAX ? ENG_OK : ENG_ERR_RANGE; /* also for NaN */
}

static bool divides(const eng_broadcast *b, uint32_t count)
{
    return b->size != 0 && b->repeat != 0 && count % ((uint64_t)b->size * b->repeat) == 0;
}

static eng_status check_add(const eng_layer *l)
{
    const eng_add_s8_params *p = l->params;
    if (p->count == 0 || !divides(&p->x, p->count) || !divides(&p->x2, p->count)) {
        return ENG_ERR_SHAPE;
    }
    const eng_rescale *const all[3] = {&p->rescale_x, &p->rescale_x2, &p->rescale_y};
    for (uint8_t i = 0; i < 3; ++i) {
        if (check_rescale(all[i]) != ENG_OK || all[i]->left != 0) {
            return ENG_ERR_RANGE;
        }
    }
    return check_output(&p->y);
}

static eng_status check_mul(const eng_layer *l)
{
    const eng_mul_s8_params *p = l->params;
    if (p->count == 0 || !divides(&p->x, p->count) || !divides(&p->x2, p->count)) {
        return ENG_ERR_SHAPE;
    }
    const eng_status status = check_rescale(&p->rescale);
    return status == ENG_OK ? check_output(&p->y) : status;
}

static eng_status check_mean(const eng_layer *l)
{
    const eng_mean_s8_params *p = l->params;
    if (p->pixels == 0 || p->channels == 0) {
        return ENG_ERR_SHAPE;
    }
    if (p->pixels >= (UINT32_C(1) << 23)) {
        return ENG_ERR_OVERFLOW;
    }
    eng_rescale r = p->rescale;
    if (r.mult >= (INT32_C(1) << 29)) {
        r.mult |= INT32_C(1) << 30; /* what is one bit short here is allowed */
    }
    const eng_status status = check_rescale(&r);
    return status == ENG_OK ? check_output(&p->y) : status;
}

static eng_status check_copy(const eng_layer *l)
{
    const eng_copy_s8_params *p = l->params;
    const bool fits = p->size <= p->stride && p->first <= p->stride - p->size;
    return p->rows != 0 && p->size != 0 && fits ? ENG_OK : ENG_ERR_SHAPE;
}

static eng_status check_pad(const eng_layer *l)
{
    const eng_pad_s8_params *p = l->params;
    const uint32_t rows = (uint32_t)p->top + p->in_h + p->bottom, columns = (uint32_t)p->left + p->in_w + p->right;
    const uint32_t channels = (uint32_t)p->front + p->channels + p->back;
    if (p->in_h == 0 || p->in_w == 0 || p->channels == 0) {
        return ENG_ERR_SHAPE;
    }
    return rows <= UINT16_MAX && columns <= UINT16_MAX && channels <= UINT16_MAX ? ENG_OK : ENG_ERR_SHAPE;
}

static eng_status check_lookup(const eng_layer *l)
{
    const eng_lookup_s8_params *p = l->params;
    if (p->count == 0) {
        return ENG_ERR_SHAPE;
    }
    return p->codes != NULL ? ENG_OK : ENG_ERR_NULL;
}

static eng_status check_params(const eng_layer *l)
{
    switch (l->op) {
    case ENG_OP_DENSE_S8:
        return check_dense(l);
    case ENG_OP_CONV2D_S8:
        return check_conv(l, l->params, false);
    case ENG_OP_CONV2D_MAX_POOL2D_S8:
        return check_conv_pool(l);
    case ENG_OP_MAX_POOL2D_S8:
    case ENG_OP_AVERAGE_POOL2D_S8:
        return check_pool(l);
    case ENG_OP_REQUANTIZE_S8:
    case ENG_OP_REQUANTIZE_U8_S8:
    case ENG_OP_REQUANTIZE_S8_U8:
        return check_requantize(l);
    case ENG_OP_SOFTMAX_S8:
        return check_softmax(l);
    case ENG_OP_ARGMAX_S8:
        return check_argmax(l);
    case ENG_OP_QUANTIZE_F32_S8:
    case ENG_OP_DEQUANTIZE_S8_F32:
    case ENG_OP_QUANTIZE_F32_U8:
    case ENG_OP_DEQUANTIZE_U8_F32:
        return check_quantize(l);
    case ENG_OP_DEPTHWISE_CONV2D_S8:
        return check_depthwise(l);
    case ENG_OP_ADD_S8:
    case ENG_OP_SUB_S8:
        return check_add(l);
    case ENG_OP_MUL_S8:
        return check_mul(l);
    case ENG_OP_MEAN_S8:
        return check_mean(l);
    case ENG_OP_COPY_S8:
        return check_copy(l);
    case ENG_OP_PAD_S8:
        return check_pad(l);
    case ENG_OP_LOOKUP_S8:
        return check_lookup(l);
    case ENG_OP_DENSE_WIDE_S8:
        return check_dense_wide(l);
    default:
        return ENG_ERR_OP;
    }
}

/* Kernels that may write where they read, if output and input begin at the same place and have the same size. */
static bool works_in_place(uint8_t op)
{
    switch (op) {
    case ENG_OP_REQUANTIZE_S8:
    case ENG_OP_REQUANTIZE_U8_S8:
    case ENG_OP_REQUANTIZE_S8_U8:
    case ENG_OP_SOFTMAX_S8:
    case ENG_OP_LOOKUP_S8:
    case ENG_OP_ADD_S8:
    case ENG_OP_SUB_S8:
    case ENG_OP_MUL_S8:
        return true;
    default:
        return false;
    }
}

/* An input of `size` bytes at `x` against the output: apart, or in place. */
static bool may_lie_at(const eng_layer *l, uint32_t x, uint32_t size)
{
    const uint32_t y_size = eng_layer_y_size(l);
    const bool apart = (uint64_t)x + size <= l->y || (uint64_t)l->y + y_size <= x;
    return apart || (works_in_place(l->op) && x == l->y && size == y_size);
}

/* Buffers inside the arena, aligned, and apart unless the kernel works in place. */
static eng_status check_buffers(const eng_layer *l, uint32_t arena)
{
    const uint32_t x_size = eng_layer_x_size(l), x2_size = eng_layer_x2_size(l), y_size = eng_layer_y_size(l);
    const uint64_t x_end = (uint64_t)l->x + x_size, x2_end = (uint64_t)l->x2 + x2_size, y_end = (uint64_t)l->y + y_size;
    const bool x_is_wide = l->op == ENG_OP_QUANTIZE_F32_S8 || l->op == ENG_OP_QUANTIZE_F32_U8;
    const bool y_is_wide = l->op == ENG_OP_DEQUANTIZE_S8_F32 || l->op == ENG_OP_DEQUANTIZE_U8_F32 || l->op == ENG_OP_ARGMAX_S8;
    /* UINT32_MAX stands for any larger size. */
    if (x_end > arena || x2_end > arena || y_end > arena || x_size == UINT32_MAX || y_size == UINT32_MAX) {
        return ENG_ERR_ARENA;
    }
    if ((x_is_wide && l->x % 4 != 0) || (y_is_wide && l->y % 4 != 0)) {
        return ENG_ERR_ALIGN;
    }
    const bool fine = may_lie_at(l, l->x, x_size) && (x2_size == 0 || may_lie_at(l, l->x2, x2_size));
    return fine ? ENG_OK : ENG_ERR_OVERLAP;
}

static size_t params_alignment(uint8_t op)
{
    switch (op) {
    case ENG_OP_DENSE_S8:
        return _Alignof(eng_dense_s8_params);
    case ENG_OP_CONV2D_S8:
    case ENG_OP_DEPTHWISE_CONV2D_S8:
        return _Alignof(eng_conv2d_s8_params);
    case ENG_OP_CONV2D_MAX_POOL2D_S8:
        return _Alignof(eng_conv2d_max_pool2d_s8_params);
    case ENG_OP_MAX_POOL2D_S8:
    case ENG_OP_AVERAGE_POOL2D_S8:
        return _Alignof(eng_pool2d_s8_params);
    case ENG_OP_REQUANTIZE_S8:
    case ENG_OP_REQUANTIZE_U8_S8:
    case ENG_OP_REQUANTIZE_S8_U8:
        return _Alignof(eng_requantize_s8_params);
    case ENG_OP_SOFTMAX_S8:
        return _Alignof(eng_softmax_s8_params);
    case ENG_OP_ARGMAX_S8:
        return _Alignof(eng_argmax_s8_params);
    case ENG_OP_ADD_S8:
    case ENG_OP_SUB_S8:
        return _Alignof(eng_add_s8_params);
    case ENG_OP_MUL_S8:
        return _Alignof(eng_mul_s8_params);
    case ENG_OP_MEAN_S8:
        return _Alignof(eng_mean_s8_params);
    case ENG_OP_COPY_S8:
        return _Alignof(eng_copy_s8_params);
    case ENG_OP_PAD_S8:
        return _Alignof(eng_pad_s8_params);
    case ENG_OP_LOOKUP_S8:
        return _Alignof(eng_lookup_s8_params);
    case ENG_OP_DENSE_WIDE_S8:
        return _Alignof(eng_dense_wide_s8_params);
    default:
        return _Alignof(eng_quantize_params);
    }
}

eng_status eng_params_check(uint8_t op, const void *params, const int8_t *w, const int32_t *bias)
{
    if (op >= ENG_OP_COUNT) {
        return ENG_ERR_OP;
    }
    if (params == NULL) {
        return ENG_ERR_NULL;
    }
    if (!is_aligned(params, params_alignment(op))) {
        return ENG_ERR_ALIGN;
    }
    const eng_layer layer = {op, params, w, bias, 0, 0, 0, 0};
    return check_params(&layer);
}

static eng_status check_layer(const eng_layer *l, uint32_t arena)
{
    const eng_status status = eng_params_check(l->op, l->params, l->w, l->bias);
    return status == ENG_OK ? check_buffers(l, arena) : status;
}

eng_status eng_model_check(const eng_model *m, uint16_t *where)
{
    uint16_t ignored;
    uint16_t *index = where != NULL ? where : &ignored;
    *index = 0;
    if (m == NULL || (m->layers == NULL && m->count != 0)) {
        return ENG_ERR_NULL;
    }
    for (uint16_t i = 0; i < m->count; ++i) {
        const eng_status status = check_layer(m->layers + i, m->arena);
        if (status != ENG_OK) {
            *index = i;
            return status;
        }
    }
    return ENG_OK;
}
