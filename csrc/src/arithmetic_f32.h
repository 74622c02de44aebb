/* SPDX-License-Identifier: Apache-2.0 */
/* How the layers of this folder add and multiply. A file that includes one of them with macros of its own here gets the same
 * layer, sums in the same order, in another arithmetic: train_f16.c. */
#ifndef ENG_ARITHMETIC_F32_H
#define ENG_ARITHMETIC_F32_H

#ifndef ENG_ADD
#define ENG_ADD(a, b)               ((a) + (b))
#define ENG_MULTIPLY_ADD(sum, a, b) ((sum) + (a) * (b))
#endif

#endif
