/* SPDX-License-Identifier: Apache-2.0 */
#include "stack.h"
#include "chip.h"

enum { PAINT = 0xc5 };

extern const uint8_t _end; /* first byte after the static data: the linker's */
extern void stack_paint(void);

uint16_t stack_room(void)
{
    return (uint16_t)(SRAM_END - (uint16_t)&_end);
}

uint16_t stack_peak(void)
{
    const volatile uint8_t *p = &_end;
    while (*p == PAINT)
        ++p;
    return (uint16_t)(SRAM_END - (uint16_t)p);
}
