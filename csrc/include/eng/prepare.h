/* SPDX-License-Identifier: Apache-2.0 */
/* Host only: layers made ready for the instruction set at hand, weights packed once. Results are those of eng_layer_run, bit
 * for bit. Twins: csrc/x86. What has no twin runs portably, so that every checked layer can be prepared everywhere. */
#ifndef ENG_PREPARE_H
#define ENG_PREPARE_H

#include <stdbool.h>

#include "eng/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In rising order of speed. */
typedef enum {
    ENG_ISA_PORTABLE = 0,
    ENG_ISA_AVX2,       /* AVX2 and FMA */
    ENG_ISA_AVXVNNI,    /* and AVX-VNNI: no processor needs AVX-512 for it */
    ENG_ISA_AVX512VNNI, /* AVX-512 F, BW, DQ, VL and VNNI */
    ENG_ISA_COUNT
} eng_isa;

/* "portable", "avx2", "avxvnni", "avx512vnni": lower case, no spaces; null for anything else. */
const char *eng_isa_name(eng_isa isa);

/* Whether this processor has the instructions, the operating system keeps their registers, and the compiler knew them. */
bool eng_isa_available(eng_isa isa);

/* Packed form and scratch are aligned to this many bytes. */
#define ENG_PREPARE_ALIGNMENT 64

/* Runs a layer: arena as for eng_layer_run, packed and scratch as big as eng_prepared says. Contents of scratch do not matter
 * and are lost. */
typedef void (*eng_prepared_run)(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);

/* Most samples that a layer computes at once. */
#define ENG_PREPARE_SAMPLES 64

/* What a layer reads and writes of `count` samples, at most ENG_PREPARE_SAMPLES: the first one's x and y, of any alignment, and
 * bytes from sample to sample. No y overlaps an x. */
typedef struct {
    const uint8_t *x;
    uint8_t *y;
    size_t x_step, y_step;
    uint32_t count;
} eng_samples;

/* The same for several samples, which share a pass over the weights; the layer's offsets in the arena are not used. */
typedef void (*eng_prepared_batch)(const eng_layer *l, const void *packed, const eng_samples *samples, uint8_t *scratch);

/* How one layer is run. packed_size and scratch_size in bytes, 0 if none is needed. */
typedef struct {
    eng_prepared_run run;
    eng_prepared_batch batch; /* null where sharing would not pay: sample by sample then */
    size_t packed_size;
    size_t scratch_size;
} eng_prepared;

/* Decides how to run a layer that eng_model_check has accepted. isa must be available. */
eng_prepared eng_prepare(eng_isa isa, const eng_layer *l);

/* Writes the packed form of a layer: eng_prepare(isa, l).packed_size bytes, none if that is 0. The packed form does not point
 * to the weights, but the layer's params must stay. */
void eng_prepare_pack(eng_isa isa, const eng_layer *l, void *packed);

/* The kernels of the same names in eng/infer_s8.h, for callers that quantize what no layer does. */
typedef struct {
    void (*quantize_f32_s8)(const eng_quantize_params *p, const float *x, int8_t *y);
    void (*dequantize_s8_f32)(const eng_quantize_params *p, const int8_t *x, float *y);
} eng_edges;

/* isa must be available. */
eng_edges eng_edges_of(eng_isa isa);

#ifdef __cplusplus
}
#endif

#endif
