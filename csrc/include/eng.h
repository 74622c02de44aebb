/* SPDX-License-Identifier: Apache-2.0 */
/* engine: int8 neural networks for 8-bit microcontrollers. Umbrella header: version and includes, nothing else. */
#ifndef ENG_H
#define ENG_H

#define ENG_VERSION_MAJOR 0
#define ENG_VERSION_MINOR 1
#define ENG_VERSION_PATCH 0
#define ENG_VERSION       "0.1.0"

#include "eng/dot.h"
#include "eng/encodings.h"
#include "eng/encodings_bits.h"
#include "eng/encodings_book.h"
#include "eng/encodings_conv.h"
#include "eng/encodings_dense.h"
#include "eng/encodings_depthwise.h"
#include "eng/encodings_im2col.h"
#include "eng/encodings_lists.h"
#include "eng/encodings_moved.h"
#include "eng/encodings_short.h"
#include "eng/encodings_sparse.h"
#include "eng/flash.h"
#include "eng/infer_s8.h"
#include "eng/layer_f32.h"
#include "eng/loss_f32.h"
#include "eng/math_f32.h"
#include "eng/model.h"
#include "eng/quant.h"
#include "eng/random.h"
#include "eng/tensor_s8.h"
#include "eng/train_f32.h"
#include "eng/train_int.h"
#include "eng/types.h"
#include "eng/update_f32.h"
#include "eng/window.h"

#endif
