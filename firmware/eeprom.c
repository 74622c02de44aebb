/* SPDX-License-Identifier: Apache-2.0 */
#include "eeprom.h"
#include "atmega4809.h"

enum { PAGE = 64 };

const uint8_t *eeprom_cells(void)
{
    return (const uint8_t *)EEPROM_START;
}

static void wait(void)
{
    while (NVMCTRL_STATUS & NVMCTRL_EEBUSY) {
    }
}

void eeprom_write(uint16_t at, const uint8_t *data, uint16_t size)
{
    volatile uint8_t *const cells = (volatile uint8_t *)EEPROM_START;
    const uint16_t end = (uint16_t)(at + size);
    while (at < end) {
        const uint16_t page = (uint16_t)(at / PAGE);
        uint8_t loaded = 0;
        wait();
        /* Stores go to the page's buffer; the command writes the cells that were loaded. */
        for (; at < end && at / PAGE == page; ++at, ++data) {
            if (cells[at] != *data) {
                cells[at] = *data;
                loaded = 1;
            }
        }
        if (loaded) {
            CCP = CCP_SPM;
            NVMCTRL_CTRLA = NVMCTRL_ERASE_WRITE;
        }
    }
    wait();
}
