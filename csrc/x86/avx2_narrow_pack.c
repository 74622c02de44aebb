/* SPDX-License-Identifier: Apache-2.0 */
#include "narrow.h"

#include <string.h>

#define CODES  4           /* of a step */
#define VECTOR 32          /* bytes */
#define MANY   32          /* steps, for which it pays to make words of codes first */
#define NEAR   (48 * 1024) /* bytes of weights that the nearest cache may keep */

bool eng_x86_narrow_plan(const eng_layer *l, eng_x86_narrow *n)
{
    const eng_dense_s8_params *d = l->params;
    if (l->op != ENG_OP_DENSE_S8 || d->in % CODES != 0 || memchr(l->w, INT8_MIN, (size_t)d->in * d->out) != NULL) {
        return false;
    }
    const uint32_t steps = d->in / CODES;
    memset(n, 0, sizeof *n);
    n->out = d->out;
    n->blocks = (d->out + ENG_X86_NARROW_LANES - 1u) / ENG_X86_NARROW_LANES;
    n->mixed = steps >= MANY && (size_t)n->blocks * (steps + steps / 2) * VECTOR <= NEAR ? steps / 2 : 0;
    n->bytes = steps - 2 * n->mixed;
    n->bias = eng_x86_aligned(sizeof *n);
    n->w = eng_x86_aligned(n->bias + (size_t)n->blocks * VECTOR);
    n->size = eng_x86_aligned(n->w + (size_t)n->blocks * (steps + n->mixed) * VECTOR);
    return true;
}

/* Bias of sums of codes as they are: that of the packed form takes off what an offset adds. */
static void pack_bias(const eng_layer *l, const eng_x86_products *p, const eng_x86_narrow *n, int32_t *bias)
{
    const eng_dense_s8_params *d = l->params;
    for (uint32_t i = 0; i < n->out; ++i) {
        const uint32_t block = i / ENG_X86_NARROW_LANES, lane = i % ENG_X86_NARROW_LANES;
        const void *const lanes = (const uint8_t *)p + p->lane;
        const int32_t *const constants = (const int32_t *)lanes + (size_t)block * ENG_X86_LANE * ENG_X86_NARROW_LANES;
        int32_t sum = 0;
        for (uint32_t k = 0; k < d->in; ++k) {
            sum += l->w[(size_t)i * d->in + k];
        }
        const uint32_t packed = (uint32_t)constants[block < p->full ? lane : 2 * lane];
        bias[i] = (int32_t)(packed + 128 * (uint32_t)sum);
    }
}

/* Four weights of an output by bytes. */
static void pack_bytes(const int8_t *w, uint32_t lane, uint8_t *vector)
{
    memcpy(vector + lane * CODES, w, CODES);
}

/* By words, in two vectors `apart` bytes from one another. */
static void pack_words(const int8_t *w, uint32_t lane, size_t apart, uint8_t *vector)
{
    for (uint32_t k = 0; k < CODES; ++k) {
        const int16_t wide = w[k];
        memcpy(vector + k / 2 * apart + lane * CODES + k % 2 * sizeof wide, &wide, sizeof wide);
    }
}

/* An output that is in lane `lane` of block `block` of a chunk of `blocks`. */
static void pack_output(const eng_x86_narrow *n, const int8_t *w, uint32_t blocks, uint32_t block, uint32_t lane, uint8_t *to)
{
    const size_t set = (size_t)blocks * VECTOR;
    const int8_t *const last = w + (size_t)n->mixed * CODES;
    to += (size_t)block * VECTOR;
    for (uint32_t k = 0; k < n->mixed; ++k) {
        pack_bytes(last + (size_t)k * CODES, lane, to);
        pack_words(w + (size_t)k * CODES, lane, set, to + set);
        to += 3 * set;
    }
    for (uint32_t k = n->mixed; k < n->mixed + n->bytes; ++k) {
        pack_bytes(last + (size_t)k * CODES, lane, to);
        to += set;
    }
}

void eng_x86_narrow_pack(const eng_layer *l, eng_x86_products *p)
{
    const eng_dense_s8_params *d = l->params;
    uint8_t *const base = (uint8_t *)p + p->narrow;
    eng_x86_narrow n;
    (void)eng_x86_narrow_plan(l, &n);
    memset(base, 0, n.size);
    memcpy(base, &n, sizeof n);
    void *const bias = base + n.bias;
    pack_bias(l, p, &n, bias);
    uint8_t *w = base + n.w;
    for (uint32_t first = 0, blocks; first < n.blocks; first += blocks) {
        blocks = eng_x86_narrow_chunk(n.blocks, first);
        for (uint32_t i = 0; i < blocks * ENG_X86_NARROW_LANES; ++i) {
            const uint32_t output = first * ENG_X86_NARROW_LANES + i;
            if (output < n.out) {
                const int8_t *const from = l->w + (size_t)output * d->in;
                pack_output(&n, from, blocks, i / ENG_X86_NARROW_LANES, i % ENG_X86_NARROW_LANES, w);
            }
        }
        w += (size_t)blocks * VECTOR * (3 * (size_t)n.mixed + n.bytes);
    }
}
