/* SPDX-License-Identifier: Apache-2.0 */
/* A model behind a serial line. */
#include "clock.h"
#include "link.h"
#include "timer.h"
#include "usart.h"

int main(void)
{
    clock_init();
    timer_init();
    usart_init(clock_hz());
    link_init();
    for (;;) {
        uint8_t wire;
        if (usart_receive(&wire))
            link_receive(wire);
        else
            link_silence();
    }
}
