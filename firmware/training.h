/* SPDX-License-Identifier: Apache-2.0 */
/* Training over the link: the requests of link.h that a trainer answers, and its state in EEPROM.
 *
 * The record in EEPROM:  u16 CRC of all that follows, u16 bytes of the state, 4 bytes of the model's hash, the state.
 * After a reset the state is that of the record, if there is a sound one of this trainer, else that of the start. */
#ifndef TRAINING_H
#define TRAINING_H

#include "exchange.h"

/* Bytes of a chunk: it arrives in the arena before the state. */
#define TRAINING_CHUNK (MODEL_STATE_OFFSET < 128 ? MODEL_STATE_OFFSET : 128)

#define TRAINING_SAMPLE (MODEL_X_SIZE + MODEL_TARGET_SIZE)
#define TRAINING_REQUESTS                                                                                                      \
    [LINK_TRAINER - 1] = {0, 0, false, training_tell}, [LINK_TRAIN - 1] = {4 + TRAINING_SAMPLE, 4, false, training_train},     \
                    [LINK_EVALUATE - 1] = {TRAINING_SAMPLE, 0, false, training_evaluate},                                      \
                    [LINK_READ - 1] = {4, 4, false, training_read},                                                            \
                    [LINK_WRITE - 1] = {2 + TRAINING_CHUNK, 2, true, training_write},                                          \
                    [LINK_SAVE - 1] = {0, 0, false, training_save}, [LINK_LOAD - 1] = {0, 0, false, training_load},            \
                    [LINK_RESTART - 1] = {0, 0, false, training_restart},

void training_init(void);

/* Whether the state may be another than at the start. */
bool training_learned(void);

void training_tell(void);
void training_train(void);
void training_evaluate(void);
void training_read(void);
void training_write(void);
void training_save(void);
void training_load(void);
void training_restart(void);

#endif
