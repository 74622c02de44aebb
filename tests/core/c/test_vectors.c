/* SPDX-License-Identifier: Apache-2.0 */
/* Every generated vector through eng_model_check and eng_layer_run: output exact, nothing written around it. */
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

/* Runs vector `index` with y at the given offset. */
static void run(const vector *v, uint16_t index, uint32_t y, uint8_t canary)
{
    eng_layer layer = v->layer;
    layer.y = y;
    const eng_model model = {&layer, 1, sizeof arena_words};
    uint16_t where = 7;
    CHECK_EQUAL(eng_layer_x_size(&layer), v->x_size, index, 0);
    CHECK_EQUAL(eng_layer_y_size(&layer), v->want_size, index, 0);
    CHECK_EQUAL(eng_model_check(&model, &where), ENG_OK, index, 0);
    CHECK_EQUAL(where, 0, index, 0);
    memset(arena, canary, sizeof arena_words);
    memcpy(arena + layer.x, v->x, v->x_size);
    eng_model_run(&model, arena);
    for (uint16_t i = 0; i < v->want_size; ++i) {
        CHECK_EQUAL(arena[y + i], v->want[i], index, i);
    }
    check_region(0, layer.x, canary, index);
    check_region(y + v->want_size, sizeof arena_words, canary, index);
    if (y != layer.x) {
        check_region(layer.x + v->x_size, y, canary, index);
        for (uint16_t i = 0; i < v->x_size; ++i) {
            CHECK_EQUAL(arena[layer.x + i], v->x[i], index, i);
        }
    }
}

int main(void)
{
    for (uint16_t i = 0; i < vector_count; ++i) {
        const vector *v = vectors + i;
        run(v, i, v->layer.y, 0x5A);
        run(v, i, v->layer.y, 0xA5);
        if (v->layer.op == ENG_OP_REQUANTIZE_S8 || v->layer.op == ENG_OP_SOFTMAX_S8) {
            run(v, i, v->layer.x, 0x5A);
        }
    }
    return check_finish("test_vectors");
}
