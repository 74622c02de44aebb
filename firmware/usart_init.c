/* SPDX-License-Identifier: Apache-2.0 */
#include "chip.h"
#include "usart.h"

/* USART_ALT: 1 for its alternative pins, which some boards wire to USB. */
#ifndef USART_ALT
#define USART_ALT 0
#endif

#if USART == 0
#define USART_PORT PORT_A
#elif USART == 1
#define USART_PORT PORT_C
#elif USART == 2
#define USART_PORT PORT_F
#elif USART == 3
#define USART_PORT PORT_B
#else
#error "USART must be 0, 1, 2 or 3"
#endif
#define TX_PIN (USART_ALT ? 4 : 0)
#define RX_PIN (TX_PIN + 1)

void usart_init(uint32_t clock_hz)
{
    PORTMUX_USARTROUTEA = (uint8_t)((USART_ALT ? 1U : 0U) << (2 * USART));
    /* High first: a low line would be a start bit. */
    PORT_OUTSET(USART_PORT) = 1 << TX_PIN;
    PORT_DIRSET(USART_PORT) = 1 << TX_PIN;
    /* Board debuggers leave the line open while no host listens. */
    PORT_PINCTRL(USART_PORT, RX_PIN) = PORT_PULLUP;
    /* BAUD = 64 * clock / (16 * rate), rounded. */
    USART_BAUD(USART) = (uint16_t)((clock_hz * 4 + USART_BAUD_RATE / 2) / USART_BAUD_RATE);
    USART_CTRLC(USART) = USART_8N1;
    USART_CTRLB(USART) = USART_RXEN | USART_TXEN;
}
