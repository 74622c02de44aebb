/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of the quick forms in registers, see lanes.h. */
#ifndef ENG_X86_QUICK_RUN_H
#define ENG_X86_QUICK_RUN_H

#include "lanes.h"

#define ENG_INLINE static inline __attribute__((always_inline))

typedef struct {
    eng_vec scale, fine, offset, shift, below;
} eng_quick;

/* Loads those that the form has. */
ENG_INLINE eng_quick quick_constants(const int32_t *lane, eng_x86_rounding form)
{
    const eng_vec *const v = (const eng_vec *)(const void *)lane;
    const bool fine = form == ENG_X86_QUICK, is_signed = form != ENG_X86_BRIEF;
    const eng_quick k = {v[1], fine ? v[2] : v[1], v[3], is_signed ? v[4] : v[1], is_signed ? v[5] : v[1]};
    return k;
}

/* DO(form) for loops of the rounding's own, or for those of any. */
#define ANY_ROUNDING(rounding, DO)                                                                                             \
    switch (rounding) {                                                                                                        \
    case ENG_X86_BRIEF:                                                                                                        \
        DO(ENG_X86_BRIEF);                                                                                                     \
        break;                                                                                                                 \
    case ENG_X86_BRIEF_SIGNED:                                                                                                 \
        DO(ENG_X86_BRIEF_SIGNED);                                                                                              \
        break;                                                                                                                 \
    case ENG_X86_QUICK:                                                                                                        \
        DO(ENG_X86_QUICK);                                                                                                     \
        break;                                                                                                                 \
    default:                                                                                                                   \
        DO(ENG_X86_DOUBLE);                                                                                                    \
        break;                                                                                                                 \
    }

#endif
