/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENG_LN2_F32_H
#define ENG_LN2_F32_H

/* ln 2 in two parts: n * LN2_HIGH is exact for |n| < 2^15. */
#define LN2_HIGH 0.693359375f
#define LN2_LOW  -2.12194440e-4f

#endif
