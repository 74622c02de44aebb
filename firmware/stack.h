/* SPDX-License-Identifier: Apache-2.0 */
/* How much stack was ever used. paint.S paints the free RAM before main; what is no longer painted was stack. */
#ifndef STACK_H
#define STACK_H

#include <stdint.h>

#include "chip.h"

/* All RAM of the chip, bytes. */
#define STACK_RAM (SRAM_END - SRAM_START)

/* Bytes between the end of the static data and the end of RAM: what the stack may have. */
uint16_t stack_room(void);

/* Deepest use of it since reset, bytes. */
uint16_t stack_peak(void);

#endif
