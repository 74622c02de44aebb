/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/move_row_int.c. Y masters, r3:r2 inputs, r5:r4 inputs left, r6 zero_x, r9:r8 bits, r11:r10 the half number that is
 * left and r7 whether there is one, r16:r15:r14 the error, r17 zero, r18 the magnitude of an input, r25:r24:r21:r20 the product. */

    .section .text.eng_move_row_int, "ax", @progbits
    .global eng_move_row_int
    .type   eng_move_row_int, @function
    /* p r25:r24, error r23:r20, x r19:r18, bits r17:r16, w r15:r14 */
eng_move_row_int:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r28, r14
    movw    r8, r16
    movw    r2, r18
    movw    r14, r20
    mov     r16, r22
    ldi     r17, 0
    movw    r30, r24
    ldd     r4, Z+2
    ldd     r5, Z+3
    ldd     r6, Z+6
    movw    r30, r8
    ldd     r10, Z+2
    ldd     r11, Z+3
    ldd     r7, Z+4
.Lnext:
    movw    r30, r2
    ld      r18, Z+
    movw    r2, r30
    sub     r18, r6
    breq    .Lskip
    in      r0, 0x3f
    sbrc    r0, 4          /* S: below zero_x */
    neg     r18
    push    r0
    tst     r7
    breq    1f
    clr     r7
    movw    r22, r10
    rjmp    2f
1:  push    r18
    movw    r30, r8
    ld      r24, Z
    ldd     r25, Z+1
    call    eng_rng_next
    movw    r10, r24
    inc     r7
    pop     r18
2:  mul     r14, r18
    movw    r20, r0
    mul     r15, r18
    add     r21, r0
    mov     r24, r1
    adc     r24, r17
    mulsu   r16, r18
    add     r24, r0
    mov     r25, r1
    adc     r25, r17
    pop     r0
    sbrs    r0, 4
    rjmp    3f
    com     r25
    com     r24
    com     r21
    neg     r20
    sbci    r21, -1
    sbci    r24, -1
    sbci    r25, -1
3:  add     r20, r22
    adc     r21, r23
    adc     r24, r17
    adc     r25, r17
    ld      r20, Y
    ldd     r21, Y+1
    sub     r20, r24
    sbc     r21, r25
    brvs    .Lbeyond
    cpi     r21, 0x80
    breq    .Lleast
.Lstore:
    st      Y+, r20
    st      Y+, r21
    rjmp    4f
.Lskip:
    adiw    r28, 2
4:  movw    r30, r4
    sbiw    r30, 1
    movw    r4, r30
    brne    .Lnext
    movw    r30, r8
    std     Z+2, r10
    std     Z+3, r11
    std     Z+4, r7
    clr     r1
    .irp    reg, 29,28,17,16,15,14,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    ret
.Lbeyond:
    ldi     r20, 0xff
    ldi     r21, 0x7f
    brmi    .Lstore
.Lleast:
    ldi     r20, 0x00
    ldi     r21, 0x81
    rjmp    .Lstore
    .size   eng_move_row_int, . - eng_move_row_int
