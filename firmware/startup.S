/* SPDX-License-Identifier: Apache-2.0 */
/* Vector table and reset path of the ATmega4809, for toolchains without the device; one with it brings its own.
 * Names are those of avr-libc's startup: __vector_N for interrupt N, __vector_default for every interrupt without a
 * handler. All are weak. The default stops the chip: interrupts off, BREAK (a simulator or debugger halts there), loop.
 * POLLED is for programs that never enable interrupts: of the table there is only what reset needs. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e
    .equ    SREG, 0x3f

    .weak   __stack
    .set    __stack, 0x3fff

    .macro  vector number
    .weak   __vector_\number
    .set    __vector_\number, __bad_interrupt
    jmp     __vector_\number
    .endm

    .section .vectors, "ax", @progbits
    .global __vectors
__vectors:
    jmp     __init
#ifndef POLLED
    .irp    number, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39
    vector  \number
    .endr
#endif
    .size   __vectors, . - __vectors

    .section .init0, "ax", @progbits
    .global __init
__init:

    .section .init2, "ax", @progbits
    clr     r1
    out     SREG, r1
    ldi     r28, lo8(__stack)
    ldi     r29, hi8(__stack)
    out     SPH, r29
    out     SPL, r28

    /* .init4: libgcc's __do_copy_data and __do_clear_bss. */

    .section .init9, "ax", @progbits
    call    main
    jmp     __stop

    .section .text.startup, "ax", @progbits
#ifndef POLLED
    .global __bad_interrupt
    .type   __bad_interrupt, @function
__bad_interrupt:
    jmp     __vector_default

    .weak   __vector_default
    .type   __vector_default, @function
__vector_default:
#endif
    .global __stop
    .type   __stop, @function
__stop:
    cli
    break
    rjmp    __stop
