/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the chip's hardware around link.c, so that the link runs on the host. */
#include "clock.h"
#include "eeprom.h"
#include "stack.h"
#include "timer.h"
#include "usart.h"

#include <string.h>

enum { ROOM = 65536 };

/* A test makes them blank, 0xff, or what it wants. */
uint8_t cells[EEPROM_SIZE];

const uint8_t *eeprom_cells(void)
{
    return cells;
}

void eeprom_write(uint16_t at, const uint8_t *data, uint16_t size)
{
    memcpy(cells + at, data, size);
}

uint8_t sent[ROOM];
uint32_t sent_count;

void usart_send(uint8_t byte)
{
    if (sent_count < ROOM)
        sent[sent_count++] = byte;
}

uint32_t clock_hz(void)
{
    return 20000000;
}

uint32_t timer_measure(void (*work)(uint8_t *arena), uint8_t *arena)
{
    work(arena);
    return 0x01020304;
}

uint16_t stack_room(void)
{
    return 6000;
}

uint16_t stack_peak(void)
{
    return 77;
}
