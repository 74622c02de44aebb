/* SPDX-License-Identifier: Apache-2.0 */
/* Gives the training kernels that a twin's file includes the twin's own names: ENG_TWIN(dense_f32) is eng_avx2_dense_f32. */
#ifndef ENG_TRAIN_NAMES_H
#define ENG_TRAIN_NAMES_H

#define ENG_JOIN_NOW(a, b) a##b
#define ENG_JOIN(a, b)     ENG_JOIN_NOW(a, b)
#define ENG_TWIN(name)     ENG_JOIN(ENG_PREFIX, name)

#define eng_matmul_f32                             ENG_TWIN(matmul_f32)
#define eng_sum_rows_f32                           ENG_TWIN(sum_rows_f32)
#define eng_transpose_f32                          ENG_TWIN(transpose_f32)
#define eng_broadcast_f32                          ENG_TWIN(broadcast_f32)
#define eng_dense_f32                              ENG_TWIN(dense_f32)
#define eng_dense_f32_scratch                      ENG_TWIN(dense_f32_scratch)
#define eng_dense_f32_backward                     ENG_TWIN(dense_f32_backward)
#define eng_conv2d_f32                             ENG_TWIN(conv2d_f32)
#define eng_conv2d_f32_scratch                     ENG_TWIN(conv2d_f32_scratch)
#define eng_conv2d_f32_backward                    ENG_TWIN(conv2d_f32_backward)
#define eng_conv2d_f32_backward_scratch            ENG_TWIN(conv2d_f32_backward_scratch)
#define eng_depthwise_conv2d_f32                   ENG_TWIN(depthwise_conv2d_f32)
#define eng_depthwise_conv2d_f32_backward          ENG_TWIN(depthwise_conv2d_f32_backward)
#define eng_conv2d_max_pool2d_f32                  ENG_TWIN(conv2d_max_pool2d_f32)
#define eng_conv2d_max_pool2d_f32_scratch          ENG_TWIN(conv2d_max_pool2d_f32_scratch)
#define eng_conv2d_max_pool2d_f32_backward         ENG_TWIN(conv2d_max_pool2d_f32_backward)
#define eng_conv2d_max_pool2d_f32_backward_scratch ENG_TWIN(conv2d_max_pool2d_f32_backward_scratch)
#define eng_relu_f32                               ENG_TWIN(relu_f32)
#define eng_relu_f32_backward                      ENG_TWIN(relu_f32_backward)
#define eng_sgd_f32                                ENG_TWIN(sgd_f32)
#define eng_adam_f32                               ENG_TWIN(adam_f32)

#endif
