/* SPDX-License-Identifier: Apache-2.0 */
/* How much stack was ever used. paint.S paints the free RAM before main; what is no longer painted was stack. */
#ifndef STACK_H
#define STACK_H

#include <stdint.h>

/* All RAM of the chip, bytes. */
#define STACK_RAM 6144

/* Bytes between the end of the static data and the end of RAM: what the stack may have. */
uint16_t stack_room(void);

/* Deepest use of it since reset, bytes. */
uint16_t stack_peak(void);

#endif
