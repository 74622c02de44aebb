/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include "atmega4809.h"

void clock_init(void)
{
    /* The compiler makes two stores of this, well within the four instructions. */
    CCP = CCP_IOREG;
    CLKCTRL_MCLKCTRLB = 0;
}

uint32_t clock_hz(void)
{
#ifdef F_CPU
    return F_CPU;
#else
    return (FUSE_OSCCFG & 3) == FUSE_OSCCFG_16MHZ ? UINT32_C(16000000) : UINT32_C(20000000);
#endif
}
