/* SPDX-License-Identifier: Apache-2.0 */
/* The chip's EEPROM: read as data, written page by page. A cell stands 100,000 writes. */
#ifndef EEPROM_H
#define EEPROM_H

#include <stdint.h>

#define EEPROM_SIZE 256

/* All cells. Blank ones hold 0xff. */
const uint8_t *eeprom_cells(void);

/* Writes size bytes from cell at on, at + size <= EEPROM_SIZE; only those that differ. 4 ms a page of 64 bytes. */
void eeprom_write(uint16_t at, const uint8_t *data, uint16_t size);

#endif
