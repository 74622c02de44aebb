/* SPDX-License-Identifier: Apache-2.0 */
/* TIMER1 counts every cycle, overflow.S its overflows. The cycles that overflow.S takes are known and taken off again, so that
 * the count is exact although a model is interrupted every 65536 cycles. */
#include "timer.h"

#include <avr/interrupt.h>
#include <avr/io.h>

#include "chip.h"

enum {
    RETURN_CYCLES = 4,
    OVERFLOW_CYCLES = 27 /* response 4, vector's jmp 3, and overflow.S */
};

/* Cycles that the call and the reading of the timer add, less the return of the empty function that they were measured with. */
static uint8_t overhead;

/* Out of line, so that the same instructions surround whatever is measured. */
static __attribute__((noinline)) uint32_t raw(void (*work)(uint8_t *arena), uint8_t *arena)
{
    TCNT1 = 0; /* far from an overflow, which would be counted */
    TIFR1 = 1 << TOV1;
    GPIOR1 = 0;
    GPIOR2 = 0;
    sei();
    TCNT1 = 0;
    work(arena);
    cli();
    const uint16_t low = TCNT1;
    uint16_t overflows = (uint16_t)((uint16_t)GPIOR2 << 8 | GPIOR1);
    const uint32_t stolen = (uint32_t)overflows * OVERFLOW_CYCLES;
    /* One that came when it could not interrupt any more, before the timer was read. */
    if ((TIFR1 & (1 << TOV1)) != 0 && low < 0x8000U)
        ++overflows;
    return ((uint32_t)overflows << 16 | low) - stolen;
}

static void nothing(uint8_t *arena)
{
    (void)arena;
}

void timer_init(void)
{
    TIMSK1 = 1 << TOIE1;
    TCCR1B = 1 << CS10;
    overhead = (uint8_t)(raw(nothing, (uint8_t *)SRAM_START) - RETURN_CYCLES);
}

uint32_t timer_measure(void (*work)(uint8_t *arena), uint8_t *arena)
{
    return raw(work, arena) - overhead;
}
