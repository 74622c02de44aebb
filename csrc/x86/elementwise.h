/* SPDX-License-Identifier: Apache-2.0 */
/* Packed forms of layers without products: what the twins of all instruction sets share. Scratch is aligned like packed forms,
 * see eng/prepare.h. */
#ifndef ENG_X86_ELEMENTWISE_H
#define ENG_X86_ELEMENTWISE_H

#include "eng/prepare.h"

#define ENG_X86_CODES 256

/* Unary kernels from bytes to bytes: what each of them becomes, by its bits. For shuffles the same once more: `steps` holds
 * row r (16 codes) exclusive-or row r - 1, but rows 0 and 8 as they are. */
typedef struct {
    uint8_t plain[ENG_X86_CODES];
    uint8_t steps[ENG_X86_CODES];
} eng_x86_table;

/* Elements that add, sub and mul compute at a time. */
#define ENG_X86_GROUP 64

/* int32 that sums of all pixels need besides one a channel. */
#define ENG_X86_SUMS (4 * ENG_X86_GROUP)

/* Largest magnitude of x - zero. */
uint32_t eng_x86_farthest(int8_t zero);

/* Codes of scratch that an operand of theirs needs: a short row as often as fits a group at any start, or a group. */
size_t eng_x86_room(const eng_broadcast *b, uint32_t count);

/* add, sub: one rounding in place of the reference's three, and a proof of where that could differ.
 *   u = x * m + x2 * m2 + c
 * modulo 2^32. y = clamp(floor(u / 2^shift), lo, hi) unless (u & doubtful) == 0: there u is so near to where y changes that the
 * group is computed by the portable kernel's own steps. See eng_x86_pair_plan for the bound.
 * x or x2 is repeated if it is shorter than the result; scratch keeps `room` codes of each, then. */
typedef struct {
    uint32_t m, m2, c, doubtful;
    uint8_t shift;
    int8_t lo, hi;
    size_t room;
} eng_x86_pair;

/* False if the portable kernel is better: hardly any element would be beyond doubt. */
bool eng_x86_pair_plan(const eng_layer *l, eng_x86_pair *pair);

/* Bytes of the packed form and of scratch that the twins of a layer need; false if there is no twin for this layer. */
bool eng_x86_elementwise_plan(const eng_layer *l, size_t *packed, size_t *scratch);

/* Writes the packed form. */
void eng_x86_elementwise_pack(const eng_layer *l, void *packed);

/* Twins of the unary kernels, from portable to AVX-512 VBMI, which not every processor with VNNI has. */
bool eng_is_table(const eng_layer *l);
void eng_portable_table(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avx2_table(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avx512vbmi_table(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);

/* Twins of all others by operator; null where there is none. */
extern const eng_prepared_run eng_avx2_elementwise[ENG_OP_COUNT];
extern const eng_prepared_run eng_avx512vnni_elementwise[ENG_OP_COUNT];

extern const eng_edges eng_avx2_edges, eng_avx512vnni_edges;

#endif
