/* SPDX-License-Identifier: Apache-2.0 */
/* Which twin runs a layer. The only place that knows instruction sets; without x86-64 everything is portable. */
#include "elementwise.h"
#include "eng/prepare.h"

static void run_portable(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch)
{
    (void)packed;
    (void)scratch;
    eng_layer_run(l, arena);
}

const char *eng_isa_name(eng_isa isa)
{
    static const char *const names[] = {"portable", "avx2", "avxvnni", "avx512vnni"};
    return (unsigned)isa < ENG_ISA_COUNT ? names[isa] : NULL;
}

static const eng_edges portable_edges = {eng_quantize_f32_s8, eng_dequantize_s8_f32};

#ifdef __x86_64__

#include <cpuid.h>

#include "across.h"
#include "depthwise.h"
#include "mul.h"
#include "planes.h"
#include "products.h"
#include "quads.h"
#include "winograd.h"

/* In eax of CPUID 7, 1; older compilers have no name for it. */
#define AVXVNNI (UINT32_C(1) << 4)

/* Register sets that the operating system saves: bits of XCR0. */
#define XCR0_AVX    UINT64_C(0x06) /* xmm, upper halves of ymm */
#define XCR0_AVX512 UINT64_C(0xe6) /* and masks, upper halves of zmm, zmm16 to zmm31 */

static uint64_t saved_registers(void)
{
    uint32_t eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & bit_OSXSAVE) == 0 || (ecx & bit_AVX) == 0 || (ecx & bit_FMA) == 0) {
        return 0;
    }
    __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (uint64_t)edx << 32 | eax;
}

static bool has_avxvnni(void)
{
#ifdef ENG_WITHOUT_AVXVNNI
    return false;
#else
    uint32_t eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) &&
           (eax & AVXVNNI) != 0;
#endif
}

bool eng_isa_available(eng_isa isa)
{
    const uint32_t avx512 = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    const uint64_t saved = saved_registers();
    uint32_t eax, ebx = 0, ecx = 0, edx;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        return isa == ENG_ISA_PORTABLE;
    }
    const bool avx2 = (saved & XCR0_AVX) == XCR0_AVX && (ebx & bit_AVX2) != 0;
    switch (isa) {
    case ENG_ISA_PORTABLE:
        return true;
    case ENG_ISA_AVX2:
        return avx2;
    case ENG_ISA_AVXVNNI:
        return avx2 && has_avxvnni();
    case ENG_ISA_AVX512VNNI:
        return avx2 && (saved & XCR0_AVX512) == XCR0_AVX512 && (ebx & avx512) == avx512 && (ecx & bit_AVX512VNNI) != 0;
    default:
        return false;
    }
}

/* What an instruction set has. */
typedef struct {
    eng_x86_format format;
    eng_prepared_run products, depthwise, winograd;
    eng_prepared_batch dense;
    const eng_prepared_run *elementwise; /* by operator */
    const eng_edges *edges;
} twins;

static const twins *twins_of(eng_isa isa)
{
    static const twins avx2 = {{8, 2, 128, false, eng_avx2_quick},
                               eng_avx2_products,
                               eng_avx2_depthwise,
                               eng_avx2_winograd,
                               eng_avx2_dense,
                               eng_avx2_elementwise,
                               &eng_avx2_edges};
#ifndef ENG_WITHOUT_AVXVNNI
    static const twins avxvnni = {{8, 1, 128, true, eng_avx2_quick},
                                  eng_avxvnni_products,
                                  eng_avxvnni_depthwise,
                                  eng_avxvnni_winograd,
                                  eng_avxvnni_dense,
                                  eng_avx2_elementwise,
                                  &eng_avx2_edges};
#endif
    static const twins avx512vnni = {{16, 1, 128, true, eng_avx512vnni_quick},
                                     eng_avx512vnni_products,
                                     eng_avx512vnni_depthwise,
                                     eng_avx512vnni_winograd,
                                     eng_avx512vnni_dense,
                                     eng_avx512vnni_elementwise,
                                     &eng_avx512vnni_edges};
    switch (isa) {
    case ENG_ISA_AVX2:
        return &avx2;
#ifndef ENG_WITHOUT_AVXVNNI
    case ENG_ISA_AVXVNNI:
        return &avxvnni;
#endif
    case ENG_ISA_AVX512VNNI:
        return &avx512vnni;
    default:
        return NULL;
    }
}

static bool is_products(const eng_layer *l)
{
    return l->op == ENG_OP_DENSE_S8 || l->op == ENG_OP_CONV2D_S8 || l->op == ENG_OP_CONV2D_MAX_POOL2D_S8;
}

/* Not every processor with VNNI has it. */
static bool has_vbmi(eng_isa isa)
{
    uint32_t eax, ebx, ecx = 0, edx;
    return isa == ENG_ISA_AVX512VNNI && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ecx & bit_AVX512VBMI) != 0;
}

static eng_prepared_run table_of(eng_isa isa)
{
    if (has_vbmi(isa)) {
        return eng_avx512vbmi_table;
    }
    return isa == ENG_ISA_PORTABLE ? eng_portable_table : eng_avx2_table;
}

/* How a layer is computed, and what writes its packed form. */
typedef struct {
    eng_prepared prepared;
    void (*pack)(const eng_x86_format *format, const eng_layer *l, void *packed);
} form;

static void pack_mul(const eng_x86_format *format, const eng_layer *l, void *packed)
{
    (void)eng_x86_mul_plan(format, l, packed);
}

static void pack_elementwise(const eng_x86_format *format, const eng_layer *l, void *packed)
{
    (void)format;
    eng_x86_elementwise_pack(l, packed);
}

static form elementwise_form(eng_isa isa, const eng_layer *l)
{
    const form portable = {{run_portable, NULL, 0, 0}, NULL};
    const twins *const t = twins_of(isa);
    form found = {{eng_is_table(l) ? table_of(isa) : t != NULL ? t->elementwise[l->op] : NULL, NULL, 0, 0}, pack_elementwise};
    if (found.prepared.run == NULL || !eng_x86_elementwise_plan(l, &found.prepared.packed_size, &found.prepared.scratch_size)) {
        return portable;
    }
    return found;
}

/* The forms for some shapes come before those for any. */
static form conv_form(eng_isa isa, const twins *t, const eng_layer *l)
{
    const eng_x86_format *const f = &t->format;
    eng_x86_across across;
    eng_x86_quads quads;
    eng_x86_planes planes;
    eng_x86_winograd winograd;
    eng_x86_products products;
    eng_x86_depthwise depthwise;
    if (has_vbmi(isa) && eng_x86_across_plan(f, l, &across)) {
        return (form){{eng_avx512vbmi_across, NULL, across.size, 0}, eng_x86_across_pack};
    }
    if (isa == ENG_ISA_AVX512VNNI && eng_x86_quads_plan(f, l, &quads)) {
        return (form){{eng_avx512vnni_quads, NULL, quads.size, 0}, eng_x86_quads_pack};
    }
    if (isa == ENG_ISA_AVX512VNNI && eng_x86_planes_plan(f, l, &planes)) {
        return (form){{eng_avx512vnni_planes, NULL, planes.size, planes.scratch}, eng_x86_planes_pack};
    }
    if (eng_x86_winograd_plan(f, l, &winograd) && eng_x86_winograd_pays(f, &winograd)) {
        return (form){{t->winograd, NULL, winograd.size, winograd.scratch}, eng_x86_winograd_pack};
    }
    if (is_products(l) && eng_x86_products_plan(f, l, &products)) {
        const eng_prepared_batch batch = l->op == ENG_OP_DENSE_S8 ? t->dense : NULL;
        return (form){{t->products, batch, products.size, products.scratch}, eng_x86_products_pack};
    }
    if (l->op == ENG_OP_DEPTHWISE_CONV2D_S8 && eng_x86_depthwise_plan(f, l, &depthwise)) {
        return (form){{t->depthwise, NULL, depthwise.size, depthwise.scratch}, eng_x86_depthwise_pack};
    }
    return elementwise_form(isa, l);
}

static form form_of(eng_isa isa, const eng_layer *l)
{
    const twins *const t = twins_of(isa);
    eng_x86_mul mul;
    if (t == NULL) {
        return elementwise_form(isa, l);
    }
    if (l->op == ENG_OP_MUL_S8 && eng_x86_mul_plan(&t->format, l, &mul)) {
        return (form){{t->elementwise[l->op], NULL, sizeof mul, mul.room}, pack_mul};
    }
    return conv_form(isa, t, l);
}

eng_prepared eng_prepare(eng_isa isa, const eng_layer *l)
{
    return form_of(isa, l).prepared;
}

eng_edges eng_edges_of(eng_isa isa)
{
    const twins *const t = twins_of(isa);
    return t != NULL ? *t->edges : portable_edges;
}

void eng_prepare_pack(eng_isa isa, const eng_layer *l, void *packed)
{
    const form found = form_of(isa, l);
    const twins *const t = twins_of(isa);
    if (found.prepared.packed_size != 0) {
        found.pack(t != NULL ? &t->format : NULL, l, packed);
    }
}

#else

bool eng_isa_available(eng_isa isa)
{
    return isa == ENG_ISA_PORTABLE;
}

eng_prepared eng_prepare(eng_isa isa, const eng_layer *l)
{
    const eng_prepared portable = {run_portable, NULL, 0, 0};
    eng_prepared table = {eng_portable_table, NULL, 0, 0};
    (void)isa;
    return eng_is_table(l) && eng_x86_elementwise_plan(l, &table.packed_size, &table.scratch_size) ? table : portable;
}

eng_edges eng_edges_of(eng_isa isa)
{
    (void)isa;
    return portable_edges;
}

void eng_prepare_pack(eng_isa isa, const eng_layer *l, void *packed)
{
    if (eng_prepare(isa, l).packed_size != 0) {
        eng_x86_elementwise_pack(l, packed);
    }
}

#endif
