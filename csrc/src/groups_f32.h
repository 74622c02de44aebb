/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of weights over a batch, in groups of ENG_GROUP_F32 samples: train_f32.h has the rule. */
#ifndef ENG_GROUPS_F32_H
#define ENG_GROUPS_F32_H

#include "eng/train_f32.h"

#include "arithmetic_f32.h"

#include <string.h>

/* Gradients of one layer: count floats of dw, then outputs floats of dbias. */
typedef struct {
    float *dw, *dbias;
    size_t count, outputs;
} eng_gradients_f32;

/* Bytes that groups need beside dw and dbias. */
static inline size_t eng_groups_scratch(size_t batch, size_t count, size_t outputs)
{
    return batch > ENG_GROUP_F32 ? (count + outputs) * sizeof(float) : 0;
}

/* Where the group that begins with sample first adds: the first group into the gradients themselves, others into scratch. */
static inline eng_gradients_f32 eng_group_begin(const eng_gradients_f32 *all, size_t first, float *scratch)
{
    if (first == 0) {
        return *all;
    }
    memset(scratch, 0, (all->count + all->outputs) * sizeof *scratch);
    const eng_gradients_f32 group = {
        .dw = scratch, .dbias = scratch + all->count, .count = all->count, .outputs = all->outputs};
    return group;
}

static inline void eng_group_end(const eng_gradients_f32 *all, const eng_gradients_f32 *group)
{
    if (group->dw == all->dw) {
        return;
    }
    for (size_t i = 0; i < all->count; ++i) {
        all->dw[i] = ENG_ADD(all->dw[i], group->dw[i]);
    }
    for (size_t i = 0; i < all->outputs; ++i) {
        all->dbias[i] = ENG_ADD(all->dbias[i], group->dbias[i]);
    }
}

#endif
