/* SPDX-License-Identifier: Apache-2.0 */
#define ENG_PREFIX eng_avx512vnni_

#include "train_f32_run.h"
