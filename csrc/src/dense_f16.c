/* SPDX-License-Identifier: Apache-2.0 */
#include "half_f16.h"

#include "dense_f32.c"
