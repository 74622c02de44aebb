/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an ELF file on simavr's ATmega328P up to a byte address in flash; prints instructions, cycles, SREG, SP and data space.
 */
#include <simavr/avr_ioport.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    elf_firmware_t firmware;
    memset(&firmware, 0, sizeof firmware);
    avr_t *avr = avr_make_mcu_by_name("atmega328p");
    if (argc != 4 || avr == NULL || elf_read_firmware(argv[1], &firmware) != 0) {
        return 2;
    }
    avr_init(avr);
    avr->log = LOG_NONE;
    avr_load_firmware(avr, &firmware);
    avr->frequency = 16000000;
    avr->run_cycle_limit = 1; /* one instruction a step */
    const avr_flashaddr_t end = (avr_flashaddr_t)strtoul(argv[2], NULL, 0);
    unsigned long instructions = 0, limit = strtoul(argv[3], NULL, 0);
    while (avr->pc != end && instructions < limit) {
        const int state = avr_run(avr);
        if (state == cpu_Done || state == cpu_Crashed) {
            return 3;
        }
        ++instructions;
    }
    unsigned sreg = 0;
    for (unsigned bit = 0; bit < 8; ++bit) {
        sreg |= (unsigned)(avr->sreg[bit] != 0) << bit;
    }
    printf("%lu %lu %u %u\n", instructions, (unsigned long)avr->cycle, sreg,
           (unsigned)(avr->data[0x5d] | avr->data[0x5e] << 8));
    for (unsigned at = 0; at < 0x900; ++at) {
        printf("%02x", avr->data[at]);
    }
    printf("\n");
    return 0;
}
