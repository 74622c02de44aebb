/* SPDX-License-Identifier: Apache-2.0 */
/* TIMER1 has overflowed: adds 1 to GPIOR2:GPIOR1. Always 20 cycles, see timer.c. Stack: 4 bytes. */

    .equ    GPIOR1, 0x2a
    .equ    GPIOR2, 0x2b
    .equ    SREG, 0x3f

    .section .text.__vector_13, "ax", @progbits
    .global __vector_13
    .type   __vector_13, @function
__vector_13:
    push    r24
    in      r24, SREG
    push    r24
    in      r24, GPIOR1
    subi    r24, -1
    out     GPIOR1, r24
    in      r24, GPIOR2
    sbci    r24, -1
    out     GPIOR2, r24
    pop     r24
    out     SREG, r24
    pop     r24
    reti
    .size   __vector_13, . - __vector_13
