/* SPDX-License-Identifier: Apache-2.0 */
/* Counts cycles exactly, without interrupts and without prescaler, up to 2^32 - 65537 (3 minutes 34 seconds at 20 MHz).
 *
 * Two 16-bit timers count every cycle, one with period 65536, the other with period 65535. With a and b the cycles that
 * each saw, n = a + 65536 * k and n = b (mod 65535), so k = b - a (mod 65535): the Chinese remainder theorem. */
#ifndef TIMER_H
#define TIMER_H

#include <stdint.h>

/* Starts the timers and measures what a measurement itself costs. */
void timer_init(void);

/* Cycles that work(arena) takes, from its first instruction through its return. */
uint32_t timer_measure(void (*work)(uint8_t *arena), uint8_t *arena);

#endif
