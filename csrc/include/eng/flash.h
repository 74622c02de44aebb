/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of constants that may lie in flash: weights, biases, rescale records, tables. One function a width.
 * Where flash is readable as data (hosts, ATmega4809 and its family) they are plain loads. Classic AVR (ATmega328P) reads
 * flash by LPM only: define ENG_FLASH_LPM, for the core and for what calls it, and declare those arrays with ENG_FLASH. */
#ifndef ENG_FLASH_H
#define ENG_FLASH_H

#include <string.h>

#include "eng/quant.h"

#ifdef ENG_FLASH_LPM
#include <avr/pgmspace.h>

#define ENG_FLASH __attribute__((progmem))

static inline int8_t eng_flash_s8(const int8_t *p)
{
    return (int8_t)pgm_read_byte(p);
}

static inline uint8_t eng_flash_u8(const uint8_t *p)
{
    return pgm_read_byte(p);
}

static inline uint32_t eng_flash_u32(const uint32_t *p)
{
    return pgm_read_dword(p);
}

static inline int32_t eng_flash_s32(const int32_t *p)
{
    return (int32_t)pgm_read_dword(p);
}

static inline eng_rescale eng_flash_rescale(const eng_rescale *p)
{
    const eng_rescale r = {eng_flash_s32(&p->mult), pgm_read_byte(&p->left), pgm_read_byte(&p->right)};
    return r;
}

static inline void eng_flash_copy(void *to, const void *from, size_t size)
{
    memcpy_P(to, from, size);
}

/* Whether bytes in RAM are those in flash. */
static inline uint8_t eng_flash_equal(const void *ram, const void *flash, size_t size)
{
    return memcmp_P(ram, flash, size) == 0;
}

#else

#define ENG_FLASH

static inline int8_t eng_flash_s8(const int8_t *p)
{
    return *p;
}

static inline uint8_t eng_flash_u8(const uint8_t *p)
{
    return *p;
}

static inline uint32_t eng_flash_u32(const uint32_t *p)
{
    return *p;
}

static inline int32_t eng_flash_s32(const int32_t *p)
{
    return *p;
}

static inline eng_rescale eng_flash_rescale(const eng_rescale *p)
{
    return *p;
}

static inline void eng_flash_copy(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

static inline uint8_t eng_flash_equal(const void *ram, const void *flash, size_t size)
{
    return memcmp(ram, flash, size) == 0;
}

#endif

/* Number of three bytes lo, mid, top: top * 65536 + mid * 256 + lo, mid signed, modulo 2^32 of which 24 bits count. */
static inline uint32_t eng_flash_split_s24(const uint8_t *p)
{
    const uint32_t mid = eng_flash_u8(p + 1);
    return ((uint32_t)eng_flash_u8(p + 2) << 16) + (mid << 8) - (mid >= 0x80 ? UINT32_C(0x10000) : 0) + eng_flash_u8(p);
}

#endif
