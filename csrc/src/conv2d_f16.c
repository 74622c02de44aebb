/* SPDX-License-Identifier: Apache-2.0 */
#include "half_f16.h"

#include "conv2d_f32.c"
