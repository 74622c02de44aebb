# Compiling and linking for the ATmega4809 with avr-gcc, with or without device support, or for the ATmega328P. Include this, then:
#
#   $(AVR_CC) $(AVR_CFLAGS) -Os -c x.c -o x.o
#   $(AVR_CC) $(AVR_CFLAGS) x.o $(AVR_STARTUP) $(AVR_LDFLAGS) -o x.elf
#
# AVR_MCU      atmega4809 (default) or atmega328p
# AVR_CC       compiler (default avr-gcc)
# AVR_STARTUP  assembly source to link, empty when the toolchain has the device
# AVR_CFLAGS   device, language, warnings, one section a function; no optimization level
# AVR_LDFLAGS  unused sections dropped, memory map, and an assertion on where .rodata is read
# AVR_FLASH, AVR_RAM   bytes that the linker allows where it is we who tell it (default: all of the chip)

AVR_MCU    ?= atmega4809
AVR_CC     ?= avr-gcc
AVR_FLASH  ?= $(if $(filter atmega328p,$(AVR_MCU)),32768,49152)
AVR_RAM    ?= $(if $(filter atmega328p,$(AVR_MCU)),2048,6144)
AVR_FOLDER := $(dir $(lastword $(MAKEFILE_LIST)))

# $(call avr_links,flags): yes when a program links with these flags.
avr_links = $(shell printf 'int main(void) { return 0; }' | $(AVR_CC) $(1) -x c - -o /dev/null 2>/dev/null && echo yes)

ifeq ($(AVR_MCU),atmega328p)
ifneq ($(call avr_links,-mmcu=atmega328p),yes)
$(error $(AVR_CC) is missing or cannot link for the ATmega328P. On Debian: apt-get install gcc-avr binutils-avr avr-libc)
endif
AVR_DEVICE  := atmega328p
AVR_STARTUP :=
AVR_MAP     = -Wl,--defsym=__DATA_REGION_LENGTH__=$(AVR_RAM) -Wl,--defsym=__TEXT_REGION_LENGTH__=$(AVR_FLASH)
else ifneq ($(AVR_MCU),atmega4809)
$(error MCU $(AVR_MCU): there are atmega4809 and atmega328p)
else ifeq ($(call avr_links,-mmcu=atmega4809),yes)
AVR_DEVICE  := atmega4809
AVR_STARTUP :=
AVR_MAP     :=
else ifeq ($(call avr_links,-mmcu=avrxmega3 -nostartfiles),yes)
AVR_DEVICE  := avrxmega3
AVR_STARTUP := $(AVR_FOLDER)startup.S
AVR_MAP     = -nostartfiles -Wl,--defsym=__RODATA_PM_OFFSET__=0x4000 -Wl,--defsym=__DATA_REGION_ORIGIN__=0x802800 \
              -Wl,--defsym=__DATA_REGION_LENGTH__=$(AVR_RAM) -Wl,--defsym=__TEXT_REGION_LENGTH__=$(AVR_FLASH)
else
$(error $(AVR_CC) is missing or cannot link for the ATmega4809. On Debian: apt-get install gcc-avr binutils-avr avr-libc)
endif

AVR_WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wcast-qual -Wstrict-prototypes \
                -Wmissing-prototypes -Wdouble-promotion -Wundef -Werror
# Some versions from 12 on take a register's address for a null pointer's neighbourhood; older ones lack the parameter.
AVR_PAGE     := --param=min-pagesize=0
AVR_CFLAGS   := -mmcu=$(AVR_DEVICE) -std=c11 -ffunction-sections -fdata-sections $(AVR_WARNINGS) \
                $(if $(call avr_links,-mmcu=$(AVR_DEVICE) $(AVR_PAGE)),$(AVR_PAGE))
AVR_LDFLAGS  = -Wl,--gc-sections $(AVR_MAP) $(if $(filter atmega4809,$(AVR_MCU)),$(AVR_FOLDER)flash_map.ld)
