/* SPDX-License-Identifier: Apache-2.0 */
/* The serial line: 8 data bits, no parity, 1 stop bit, polled.
 *
 * Without interrupts the timing of a model is undisturbed and needs no ring buffer. Nothing is lost while the protocol is
 * followed (one request, then silence until its answer): the link spends at most 300 cycles on a byte that does not end a
 * request (tests/firmware counts them), and at 115200 baud one comes every 1,388 cycles at 16 MHz. */
#ifndef USART_H
#define USART_H

#include <stdbool.h>
#include <stdint.h>

/* USART: which of the chip's, 0 to 3 (ATmega328P: 0). */
#ifndef USART
#define USART 3
#endif
#ifndef USART_BAUD_RATE
#define USART_BAUD_RATE 115200
#endif

void usart_init(uint32_t clock_hz);

/* Waits for a byte, but not longer than about USART_PATIENCE_MS; false when none came. */
#define USART_PATIENCE_MS 20
bool usart_receive(uint8_t *byte);

/* Waits until the byte can be queued, then queues it. */
void usart_send(uint8_t byte);

#endif
