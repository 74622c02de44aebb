/* SPDX-License-Identifier: Apache-2.0 */
/* Every generated vector through eng_model_check and eng_layer_run: output exact, nothing written around it. */
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "vectors.h"

static uint32_t arena_words[(VECTORS_ARENA + 3) / 4];
#define arena ((uint8_t *)arena_words)

static void check_region(uint32_t from, uint32_t to, uint8_t value, uint16_t index)
{
    for (uint32_t i = from; i < to; ++i) {
        CHECK_EQUAL(arena[i], value, index, (uint16_t)i);
    }
}

/* An input must be as it was, and what follows it untouched. */
static void check_input(uint32_t from, const uint8_t *want, uint16_t size, uint32_t end, uint8_t canary, uint16_t index)
{
    for (uint16_t i = 0; i < size; ++i) {
        CHECK_EQUAL(arena[from + i], want[i], index, i);
    }
    check_region(from + size, end, canary, index);
}

/* Runs vector `index` with y at the given offset. */
static void run(const vector *v, uint16_t index, uint32_t y, uint8_t canary)
{
    eng_layer layer = v->layer;
    layer.y = y;
    const eng_model model = {&layer, 1, sizeof arena_words};
    const uint32_t x_end = v->x2 != NULL ? layer.x2 : v->layer.y;
    uint16_t where = 7;
    CHECK_EQUAL(eng_layer_x_size(&layer), v->x_size, index, 0);
    CHECK_EQUAL(eng_layer_x2_size(&layer), v->x2_size, index, 0);
    CHECK_EQUAL(eng_layer_y_size(&layer), v->want_size, index, 0);
    CHECK_EQUAL(eng_model_check(&model, &where), ENG_OK, index, 0);
    CHECK_EQUAL(where, 0, index, 0);
    memset(arena, canary, sizeof arena_words);
    memcpy(arena + layer.x, v->x, v->x_size);
    if (v->x2 != NULL) {
        memcpy(arena + layer.x2, v->x2, v->x2_size);
    }
    if (layer.op == ENG_OP_COPY_S8) { /* keeps the other columns: the oracle has zeros there */
        memset(arena + y, 0, v->want_size);
    }
    eng_model_run(&model, arena);
    for (uint16_t i = 0; i < v->want_size; ++i) {
        CHECK_EQUAL(arena[y + i], v->want[i], index, i);
    }
    check_region(0, layer.x, canary, index);
    check_region(v->layer.y + v->want_size, sizeof arena_words, canary, index);
    if (y != layer.x) {
        check_input(layer.x, v->x, v->x_size, x_end, canary, index);
    }
    if (v->x2 != NULL && y != layer.x2) {
        check_input(layer.x2, v->x2, v->x2_size, v->layer.y, canary, index);
    }
    if (y != v->layer.y) {
        check_region(v->layer.y, v->layer.y + v->want_size, canary, index);
    }
}

static bool works_in_place(uint8_t op)
{
    return op == ENG_OP_REQUANTIZE_S8 || op == ENG_OP_SOFTMAX_S8 || op == ENG_OP_LOOKUP_S8 || op == ENG_OP_REQUANTIZE_U8_S8 ||
           op == ENG_OP_REQUANTIZE_S8_U8 || op == ENG_OP_ADD_S8 || op == ENG_OP_SUB_S8 || op == ENG_OP_MUL_S8;
}

int main(void)
{
    for (uint16_t i = 0; i < vector_count; ++i) {
        const vector *v = vectors + i;
        run(v, i, v->layer.y, 0x5A);
        run(v, i, v->layer.y, 0xA5);
        if (works_in_place(v->layer.op) && v->x_size == v->want_size) {
            run(v, i, v->layer.x, 0x5A);
        }
        if (v->x2 != NULL && v->x2_size == v->want_size) {
            run(v, i, v->layer.x2, 0x5A);
        }
    }
    return check_finish("test_vectors");
}
