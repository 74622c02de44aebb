/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Switches the prescaler off, so that the core runs at the oscillator's frequency. */
void clock_init(void);

/* Frequency in Hz: F_CPU if the build defines it, else 16 or 20 MHz as the fuses say. One image is right on both. */
uint32_t clock_hz(void);

#endif
