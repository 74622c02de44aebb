/* SPDX-License-Identifier: Apache-2.0 */
/* exp, log and their relatives, and maximum, in float alone: libm's differ in the last bit between libraries and processors,
 * these do not. */
#ifndef ENG_MATH_F32_H
#define ENG_MATH_F32_H

#include "eng/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* e^x, relative error < 1.2e-7. 0 below -87.33 (results would be subnormal), infinity above 88.72; NaN gives NaN. */
float eng_exp_f32(float x);

/* Natural logarithm of a positive normal number: |error| < 1.2e-7 * max(|log x|, 1). Infinity and NaN come back unchanged. */
float eng_log_f32(float x);

/* e^x - 1 for x <= 0: relative error < 5e-7, no cancellation near 0; NaN gives NaN. */
float eng_expm1_f32(float x);

/* log(1 + x) for x in [0, 1]: relative error < 5e-7; NaN gives NaN. */
float eng_log1p_f32(float x);

/* Largest of x[0..n), n >= 1. NaN counts as smaller, except in first place. */
float eng_max_f32(size_t n, const float *x);

#ifdef __cplusplus
}
#endif

#endif
