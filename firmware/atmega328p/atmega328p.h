/* SPDX-License-Identifier: Apache-2.0 */
/* What usart.c, stack.c and link.c ask of a chip, for the ATmega328P. Every avr-libc has its registers.
 * Source: Microchip, ATmega48A/PA/88A/PA/168A/PA/328/P data sheet, DS40002061. */
#ifndef ATMEGA328P_H
#define ATMEGA328P_H

#include <avr/io.h>

#define MCU_NAME "atmega328p"

#define USART_RXDATAL(n) UDR0
#define USART_TXDATAL(n) UDR0
#define USART_STATUS(n)  UCSR0A
#define USART_RXCIF      (1 << RXC0)
#define USART_DREIF      (1 << UDRE0)

#define SRAM_START 0x100
#define SRAM_END   0x900

#endif
