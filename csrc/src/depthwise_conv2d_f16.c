/* SPDX-License-Identifier: Apache-2.0 */
#include "half_f16.h"

#include "depthwise_conv2d_f32.c"
