/* SPDX-License-Identifier: Apache-2.0 */
#include "usart.h"
#include "chip.h"

bool usart_receive(uint8_t *byte)
{
    /* A turn of this loop takes 8 to 12 cycles at 16 or 20 MHz. */
    for (uint16_t turns = USART_PATIENCE_MS * UINT16_C(2000); turns > 0; --turns) {
        if (USART_STATUS(USART) & USART_RXCIF) {
            *byte = USART_RXDATAL(USART);
            return true;
        }
    }
    return false;
}

void usart_send(uint8_t byte)
{
    while (!(USART_STATUS(USART) & USART_DREIF)) {
    }
    USART_TXDATAL(USART) = byte;
}
