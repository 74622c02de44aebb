/* SPDX-License-Identifier: Apache-2.0 */
/* A whole model as records over one arena: what the host's Session runs. Firmware calls the same kernels with the same
 * records, but in straight-line emitted code, so that operators it does not use fall out at link time. */
#ifndef ENG_MODEL_H
#define ENG_MODEL_H

#include "eng/infer_s8.h"
#include "eng/tensor_s8.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One code per kernel that a layer record can name; Python's twin is engine/program.py, tested equal. */
typedef enum {
    ENG_OP_DENSE_S8 = 0,
    ENG_OP_CONV2D_S8,
    ENG_OP_CONV2D_MAX_POOL2D_S8,
    ENG_OP_MAX_POOL2D_S8,
    ENG_OP_AVERAGE_POOL2D_S8,
    ENG_OP_REQUANTIZE_S8,
    ENG_OP_SOFTMAX_S8,
    ENG_OP_ARGMAX_S8,
    ENG_OP_QUANTIZE_F32_S8,
    ENG_OP_DEQUANTIZE_S8_F32,
    ENG_OP_DEPTHWISE_CONV2D_S8,
    ENG_OP_ADD_S8,
    ENG_OP_SUB_S8,
    ENG_OP_MUL_S8,
    ENG_OP_MEAN_S8,
    ENG_OP_COPY_S8,
    ENG_OP_PAD_S8,
    ENG_OP_LOOKUP_S8,
    ENG_OP_REQUANTIZE_U8_S8,
    ENG_OP_REQUANTIZE_S8_U8,
    ENG_OP_QUANTIZE_F32_U8,
    ENG_OP_DEQUANTIZE_U8_F32,
    ENG_OP_DENSE_WIDE_S8,
    ENG_OP_COUNT
} eng_op;

/* One kernel call. params points to the params struct of op; x, x2, y and scratch are byte offsets into the arena.
 * x2 is the second input of add, sub and mul, else 0. If w is not null there, w is that input: a constant, in memory that
 * can be read plainly. */
typedef struct {
    uint8_t op;
    const void *params;
    const int8_t *w;
    const int32_t *bias;
    uint32_t x;
    uint32_t x2;
    uint32_t y;
    uint32_t scratch;
} eng_layer;

typedef struct {
    const eng_layer *layers;
    uint16_t count;
    uint32_t arena; /* bytes */
} eng_model;

/* Everything that the kernels rely on: pointers, shapes, ranges, accumulator bounds from the actual weights, alignment
 * (float and int32 buffers: 4 bytes), buffers inside the arena, outputs apart from inputs.
 * w, bias, rescale and table must hold as many elements as the params say: C cannot see their lengths.
 * On failure *where (if not null) is the index of the layer. Time: one pass over the weights. */
ENG_WARN_UNUSED eng_status eng_model_check(const eng_model *m, uint16_t *where);

/* What eng_model_check says about one kernel call apart from its buffers; w and bias are null for kernels without. */
ENG_WARN_UNUSED eng_status eng_params_check(uint8_t op, const void *params, const int8_t *w, const int32_t *bias);

/* Bytes that one layer reads at x and x2, writes at y (for a copy: the whole that it writes into) and needs at scratch; 0 for
 * an unknown op or params that are null, UINT32_MAX for anything larger. */
uint32_t eng_layer_x_size(const eng_layer *l);
uint32_t eng_layer_x2_size(const eng_layer *l);
uint32_t eng_layer_y_size(const eng_layer *l);
uint32_t eng_layer_scratch_size(const eng_layer *l);

/* Runs one layer of a checked model, or all in order. arena: at least m->arena bytes, aligned to 4. */
void eng_layer_run(const eng_layer *l, uint8_t *arena);
void eng_model_run(const eng_model *m, uint8_t *arena);

#ifdef __cplusplus
}
#endif

#endif
