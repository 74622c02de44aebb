/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

/* Fuses choose the crystal; nothing divides it unless they say so. */
void clock_init(void)
{
}

uint32_t clock_hz(void)
{
#ifdef F_CPU
    return F_CPU;
#else
    return UINT32_C(16000000);
#endif
}
