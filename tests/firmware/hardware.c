/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the chip's hardware around link.c, so that the link runs on the host. */
#include "clock.h"
#include "stack.h"
#include "timer.h"
#include "usart.h"

enum { ROOM = 65536 };

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
