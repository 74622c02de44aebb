/* SPDX-License-Identifier: Apache-2.0 */
/* The chip that is compiled for: its name, its RAM, and the registers that its files here touch. */
#ifndef CHIP_H
#define CHIP_H

#ifdef __AVR_ATmega328P__
#include "atmega328p/atmega328p.h"
#else
#include "atmega4809.h"
#endif

#endif
