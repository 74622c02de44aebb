/* SPDX-License-Identifier: Apache-2.0 */
#include "chip.h"
#include "usart.h"

void usart_init(uint32_t clock_hz)
{
    UCSR0A = 1 << U2X0; /* clock / 8 and not / 16: 115200 baud are 2.1 % fast at 16 MHz, and would be 3.5 % */
    UBRR0 = (uint16_t)((clock_hz + UINT32_C(4) * USART_BAUD_RATE) / (UINT32_C(8) * USART_BAUD_RATE) - 1);
    UCSR0B = 1 << RXEN0 | 1 << TXEN0;
}
