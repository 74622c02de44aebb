/* SPDX-License-Identifier: Apache-2.0 */
#define ENG_PREFIX eng_avx2_

#include "train_f16_run.h"
