/* SPDX-License-Identifier: Apache-2.0 */
/* Packed form of dense layers for one vector of codes by AVX2: most of the weights stay bytes.
 *
 * Without VNNI products of bytes are summed in pairs, unsigned by signed, with saturation. The unsigned factor is |x|, the
 * other one w with the sign of x: |x| <= 128 and |w| <= 127 make a pair at most 2 * 128 * 127 = 32512 < 2^15, so that nothing
 * saturates. w = -128 has no negative; layers with such weights, which no quantizer writes, have no narrow form.
 *
 * A step is four codes for a block of eight outputs: by bytes a vector of weights, by words two. Bytes are half as many loads,
 * but signs have two ports of their own to go through, so that layers that stay near enough for it have as many steps by words
 * beside them as by bytes: the first codes by words, the last by bytes, step beside step.
 *   w [chunk][mixed steps][block of the chunk: bytes; then two times block of the chunk: words]
 *     and further [steps][block of the chunk: bytes] */
#ifndef ENG_X86_NARROW_H
#define ENG_X86_NARROW_H

#include "products.h"

#define ENG_X86_NARROW_LANES  8
#define ENG_X86_NARROW_BLOCKS 6 /* most in a chunk: their sums fit the registers */

typedef struct {
    uint32_t blocks, out;
    uint32_t mixed, bytes; /* steps by words, each beside one by bytes; further ones by bytes */
    /* Byte offsets from the start of this struct. */
    size_t bias; /* int32_t [blocks][8] */
    size_t w;
    size_t size;
} eng_x86_narrow;

/* Whether a layer has a narrow form; sizes and offsets if so. */
bool eng_x86_narrow_plan(const eng_layer *l, eng_x86_narrow *n);

/* Writes it where the packed form p of the same layer has room for it. */
void eng_x86_narrow_pack(const eng_layer *l, eng_x86_products *p);

/* Blocks of the chunk that begins with block `first`: chunks are as few and as equal as may be. */
static inline uint32_t eng_x86_narrow_chunk(uint32_t blocks, uint32_t first)
{
    const uint32_t left = blocks - first, chunks = (left + ENG_X86_NARROW_BLOCKS - 1) / ENG_X86_NARROW_BLOCKS;
    return (left + chunks - 1) / chunks;
}

/* Runs it. scratch: 2 bytes a code. */
void eng_avx2_narrow(const eng_x86_products *p, const void *x, void *y, void *scratch);

#endif
