/* SPDX-License-Identifier: Apache-2.0 */
/* Paints the RAM from the end of the static data up to the stack pointer, before anything is on the stack. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

    .section .init3, "ax", @progbits
    .global stack_paint
stack_paint:
    ldi     r26, lo8(_end)
    ldi     r27, hi8(_end)
    in      r24, SPL
    in      r25, SPH
    ldi     r18, 0xc5
1:  cp      r24, r26
    cpc     r25, r27
    brlo    2f
    st      X+, r18
    rjmp    1b
2:
