/* SPDX-License-Identifier: Apache-2.0 */
/* The registers that this firmware touches, so that no device header is needed (Debian 12's avr-libc has none).
 * Source: Microchip, ATmega4808/4809 data sheet, DS40002173. */
#ifndef ATMEGA4809_H
#define ATMEGA4809_H

#include <stdint.h>

#define MCU_NAME "atmega4809"

#define REGISTER8(address)  (*(volatile uint8_t *)(address))
#define REGISTER16(address) (*(volatile uint16_t *)(address))

/* Configuration change protection: writing the signature opens protected registers for four instructions. */
#define CCP               REGISTER8(0x0034)
#define CCP_IOREG         0xd8
#define CCP_SPM           0x9d
#define SP                REGISTER16(0x003d)
#define CLKCTRL_MCLKCTRLB REGISTER8(0x0061)

/* Fuse OSCCFG: bits 1:0 are 1 for a 16 MHz oscillator (Arduino's setting), 2 for 20 MHz (the chip's default). */
#define FUSE_OSCCFG       REGISTER8(0x1282)
#define FUSE_OSCCFG_16MHZ 1

#define PORT_OUTSET(port)       REGISTER8(0x0400 + 0x20 * (port) + 5)
#define PORT_DIRSET(port)       REGISTER8(0x0400 + 0x20 * (port) + 1)
#define PORT_PINCTRL(port, pin) REGISTER8(0x0400 + 0x20 * (port) + 0x10 + (pin))
#define PORT_PULLUP             0x08
enum { PORT_A = 0, PORT_B = 1, PORT_C = 2, PORT_F = 5 };
#define PORTMUX_USARTROUTEA REGISTER8(0x05e2)

#define USART_RXDATAL(n) REGISTER8(0x0800 + 0x20 * (n) + 0)
#define USART_TXDATAL(n) REGISTER8(0x0800 + 0x20 * (n) + 2)
#define USART_STATUS(n)  REGISTER8(0x0800 + 0x20 * (n) + 4)
#define USART_CTRLB(n)   REGISTER8(0x0800 + 0x20 * (n) + 6)
#define USART_CTRLC(n)   REGISTER8(0x0800 + 0x20 * (n) + 7)
#define USART_BAUD(n)    REGISTER16(0x0800 + 0x20 * (n) + 8)
#define USART_RXCIF      0x80
#define USART_DREIF      0x20
#define USART_RXEN       0x80
#define USART_TXEN       0x40
#define USART_8N1        0x03

#define TCB_CTRLA(n) REGISTER8(0x0a80 + 0x10 * (n) + 0)
#define TCB_CTRLB(n) REGISTER8(0x0a80 + 0x10 * (n) + 1)
#define TCB_CNT(n)   REGISTER16(0x0a80 + 0x10 * (n) + 0x0a)
#define TCB_CCMP(n)  REGISTER16(0x0a80 + 0x10 * (n) + 0x0c)
#define TCB_ENABLE   0x01 /* clock: CLK_PER, undivided */
#define TCB_PERIODIC 0x00

#define NVMCTRL_CTRLA       REGISTER8(0x1000)
#define NVMCTRL_STATUS      REGISTER8(0x1002)
#define NVMCTRL_ERASE_WRITE 0x03
#define NVMCTRL_EEBUSY      0x02
#define EEPROM_START        0x1400

#define SRAM_START 0x2800
#define SRAM_END   0x4000

#endif
