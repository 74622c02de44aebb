/* SPDX-License-Identifier: Apache-2.0 */
/* The serial link: requests in frames (eng/frame.h), one answer each, device never speaks first. Twin:
 * python/enginekit/device/protocol.py, tested equal. All numbers are little endian.
 *
 *   request          payload                       answer (kind | LINK_ANSWER), after the echo
 *   LINK_HELLO       u8 protocol of the client     u8 protocol, u32 clock in Hz, then link_card (link.c)
 *   LINK_RUN         the input, MODEL_X_SIZE bytes u32 cycles of model_run, then the output
 *   LINK_SELFTEST    none                          u8 eng_status
 *   LINK_STATS       none                          u16: RAM, static data, of it the arena, stack peak, damaged requests
 *   anything else                                  LINK_ERROR
 *
 * Every answer repeats the request's sequence number and starts with an echo, the request's CRC (u16): an answer can
 * neither be taken for that of another request nor for that of an older one with the same number. LINK_ERROR carries
 * u8 link_error and u16 detail.
 *
 * Damage: a request whose frame is damaged is never run. When the line has then been silent for USART_PATIENCE_MS, the
 * device says so with LINK_ERROR, LINK_ERR_DAMAGED, sequence 0 and echo 0, and the client repeats its request. Requests
 * keep no state, so that a repeated one gives the same answer. While the device computes or answers it does not listen.
 * The input goes into the arena while it arrives, before its CRC is known: a damaged one is overwritten by the next. */
#ifndef LINK_H
#define LINK_H

#include <stdint.h>

#define LINK_PROTOCOL 1

#define LINK_HELLO    0x01
#define LINK_RUN      0x02
#define LINK_SELFTEST 0x03
#define LINK_STATS    0x04
#define LINK_ANSWER   0x80
#define LINK_ERROR    0xff

typedef enum {
    LINK_ERR_DAMAGED = 1, /* a frame came in damaged; detail 0 */
    LINK_ERR_KIND,        /* no such request; detail: the kind that came */
    LINK_ERR_LENGTH,      /* wrong payload size; detail: the size that this request has */
    LINK_ERR_PROTOCOL     /* the client's protocol is another; detail: this device's */
} link_error;

void link_init(void);

/* Takes a byte off the line; answers a request when it is complete. */
void link_receive(uint8_t wire);

/* To be called when the line has been silent for USART_PATIENCE_MS. */
void link_silence(void);

#endif
