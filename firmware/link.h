/* SPDX-License-Identifier: Apache-2.0 */
/* The serial link: requests in frames (eng/frame.h), one answer each, device never speaks first. Twin:
 * python/enginekit/device/protocol.py, tested equal. All numbers are little endian.
 *
 *   request          payload                       answer (kind | LINK_ANSWER), after the echo
 *   LINK_HELLO       u8 protocol of the client     u8 protocol, u32 clock in Hz, then link_card (link.c)
 *   LINK_RUN         the input, MODEL_X_SIZE bytes u32 cycles of model_run, then the output
 *   LINK_SELFTEST    none                          u8 eng_status
 *   LINK_STATS       none                          u16: RAM, static data, of it the arena, stack peak, damaged requests
 * and where the model is a trainer, which the card tells (training.c):
 *   LINK_TRAINER     none                          u32 steps, u16: bytes of the state, their CRC, bytes of a chunk, bytes of
 *                                                  this trainer's record in EEPROM (0: none)
 *   LINK_TRAIN       u32 steps so far, the input,  u32 cycles of model_train_step, then the outcome
 *                    the target
 *   LINK_EVALUATE    the input, the target         u32 cycles of model_evaluate, then the outcome
 *   LINK_READ        u16 offset, u16 size          so many bytes of the state
 *   LINK_WRITE       u16 offset, 1 to a chunk of   none
 *                    bytes
 *   LINK_SAVE        none                          none; the state is in EEPROM
 *   LINK_LOAD        none                          none; the state is that from EEPROM
 *   LINK_RESTART     none                          none; the state is that of the start
 *   anything else                                  LINK_ERROR
 *
 * Every answer repeats the request's sequence number and starts with an echo, the request's CRC (u16): an answer can
 * neither be taken for that of another request nor for that of an older one with the same number. LINK_ERROR carries
 * u8 link_error and u16 detail.
 *
 * Damage: a request whose frame is damaged is never run. When the line has then been silent for USART_PATIENCE_MS, the
 * device says so with LINK_ERROR, LINK_ERR_DAMAGED, sequence 0 and echo 0, and the client repeats its request. A repeated
 * request gives the same answer: LINK_TRAIN, the only one that is not the same twice, says how many steps came before it, and
 * the one that came last is answered again without a step. While the device computes or answers it does not listen.
 * Input, target and chunks go into the arena while they arrive, before their CRC is known, where nothing outlives a request: a
 * damaged one is overwritten by the next. Sizes are checked before anything is stored. */
#ifndef LINK_H
#define LINK_H

#include <stdint.h>

#define LINK_PROTOCOL 2

#define LINK_HELLO    0x01
#define LINK_RUN      0x02
#define LINK_SELFTEST 0x03
#define LINK_STATS    0x04
#define LINK_TRAINER  0x05
#define LINK_TRAIN    0x06
#define LINK_EVALUATE 0x07
#define LINK_READ     0x08
#define LINK_WRITE    0x09
#define LINK_SAVE     0x0a
#define LINK_LOAD     0x0b
#define LINK_RESTART  0x0c
#define LINK_ANSWER   0x80
#define LINK_ERROR    0xff

typedef enum {
    LINK_ERR_DAMAGED = 1, /* a frame came in damaged; detail 0 */
    LINK_ERR_KIND,        /* no such request; detail: the kind that came */
    LINK_ERR_LENGTH,      /* wrong payload size; detail: the size that this request has */
    LINK_ERR_PROTOCOL,    /* the client's protocol is another; detail: this device's */
    LINK_ERR_STEP,        /* another number of steps came before; detail: the lower 16 bits of it */
    LINK_ERR_LABEL,       /* no such class; detail: the number of classes */
    LINK_ERR_RANGE,       /* beyond the state; detail: its size */
    LINK_ERR_ROOM,        /* EEPROM is too small; detail: the bytes that it lacks */
    LINK_ERR_RECORD,      /* nothing to load; detail: 0 nothing there, 1 another trainer's, 2 damaged */
    LINK_ERR_LEARNED      /* the self-test would lose what was learned since the start: restart first; detail 0 */
} link_error;

void link_init(void);

/* Takes a byte off the line; answers a request when it is complete. */
void link_receive(uint8_t wire);

/* To be called when the line has been silent for USART_PATIENCE_MS. */
void link_silence(void);

#endif
