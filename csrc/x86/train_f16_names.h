/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a twin's training kernels in half precision, as train_names.h gives those in float. */
#ifndef ENG_TRAIN_F16_NAMES_H
#define ENG_TRAIN_F16_NAMES_H

#include "eng/types.h"

#define ENG_JOIN_NOW(a, b) a##b
#define ENG_JOIN(a, b)     ENG_JOIN_NOW(a, b)
#define ENG_TWIN(name)     ENG_JOIN(ENG_PREFIX, name)

#define eng_nearest_f16                   ENG_TWIN(nearest_f16)
#define eng_round_f16                     ENG_TWIN(round_f16)
#define eng_matmul_f16                    ENG_TWIN(matmul_f16)
#define eng_sum_rows_f16                  ENG_TWIN(sum_rows_f16)
#define eng_dense_f16                     ENG_TWIN(dense_f16)
#define eng_dense_f16_scratch             ENG_TWIN(dense_f16_scratch)
#define eng_dense_f16_backward            ENG_TWIN(dense_f16_backward)
#define eng_conv2d_f16                    ENG_TWIN(conv2d_f16)
#define eng_conv2d_f16_scratch            ENG_TWIN(conv2d_f16_scratch)
#define eng_conv2d_f16_backward           ENG_TWIN(conv2d_f16_backward)
#define eng_conv2d_f16_backward_scratch   ENG_TWIN(conv2d_f16_backward_scratch)
#define eng_depthwise_conv2d_f16          ENG_TWIN(depthwise_conv2d_f16)
#define eng_depthwise_conv2d_f16_backward ENG_TWIN(depthwise_conv2d_f16_backward)

#endif
