/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/dense_backward_int.c. Z weights, Y sums, r18 the error, r19 a weight, r23 the sign of their product, r25:r24 inputs
 * left, r17:r16 errors, r15:r14 outputs left, r13:r12 inputs, r11:r10 sums of this row, X rows left; w, p on the stack. */
    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

    .macro  add_byte value
    ld      r20, Y
    adc     r20, \value
    st      Y+, r20
    .endm

    .section .text.eng_dense_int_backward, "ax", @progbits
    .global eng_dense_int_backward
    .type   eng_dense_int_backward, @function
eng_dense_int_backward:
    .irp    reg, 10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r16, r22
    movw    r28, r18
    movw    r30, r24
    ld      r26, Z
    ldd     r27, Z+1
    ldd     r12, Z+2
    ldd     r13, Z+3
    .irp    reg, 31,30,21,20
    push    r\reg
    .endr
1:  movw    r10, r28
    movw    r24, r12
2:  st      Y+, r1
    st      Y+, r1
    st      Y+, r1
    st      Y+, r1
    sbiw    r24, 1
    brne    2b
    in      r30, SPL
    in      r31, SPH
    ldd     r20, Z+3
    ldd     r21, Z+4
    ldd     r24, Z+1
    ldd     r25, Z+2
    movw    r30, r20
    ldd     r14, Z+4
    ldd     r15, Z+5
    movw    r30, r24
3:  movw    r20, r30
    movw    r30, r16
    ld      r18, Z+
    movw    r16, r30
    movw    r30, r20
    movw    r24, r12
    tst     r18
    breq    5f
    movw    r28, r10
4:  ldd     r19, Z+1
    adiw    r30, 2
    muls    r19, r18
    sbc     r23, r23
    ld      r20, Y
    add     r20, r0
    st      Y+, r20
    add_byte r1
    add_byte r23
    add_byte r23
    sbiw    r24, 1
    brne    4b
    rjmp    6f
5:  lsl     r24
    rol     r25
    add     r30, r24
    adc     r31, r25
6:  movw    r24, r14
    sbiw    r24, 1
    movw    r14, r24
    brne    3b
    movw    r28, r10
    clr     r1
    movw    r24, r12
    lsl     r24
    rol     r25
    lsl     r24
    rol     r25
    add     r28, r24
    adc     r29, r25
    sbiw    r26, 1
    breq    7f
    rjmp    1b
7:  .rept   4
    pop     r0
    .endr
    .irp    reg, 29,28,17,16,15,14,13,12,11,10
    pop     r\reg
    .endr
    ret
    .size   eng_dense_int_backward, . - eng_dense_int_backward
