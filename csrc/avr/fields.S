/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/fields.c. X sums, Z starts, r25:r24 rows left, r19 bits, r20 bits below the row's field, r23:r22:r21 the row's sum,
 * r12:r11:r10 that of its byte's fields up to the one below, r18:r17:r16 inputs times a weight's zero, r13:r15:r14 the same in
 * the field's place, r0 counter. */

    .equ    START, 2
    .equ    BLOCK_COUNT, 6

    .section .text.eng_fields_s24, "ax", @progbits
    .global eng_fields_s24
    .type   eng_fields_s24, @function
eng_fields_s24:
    .irp    reg, 10,11,12,13,14,15,16,17
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r14
    mov     r19, r20
    rjmp    2f
1:  lsl     r16
    rol     r17
    rol     r18
2:  dec     r20
    brne    1b
    ldd     r23, Z+BLOCK_COUNT
    mul     r23, r22
    movw    r24, r0
    clr     r1
    ldd     r0, Z+START
    ldd     r31, Z+START+1
    mov     r30, r0
3:  clr     r10
    clr     r11
    clr     r12
    movw    r14, r16
    mov     r13, r18
    ldi     r20, 0
4:  ld      r21, X+
    ld      r22, X+
    ld      r23, X
    sbiw    r26, 2
    sub     r21, r10
    sbc     r22, r11
    sbc     r23, r12
    add     r10, r21
    adc     r11, r22
    adc     r12, r23
    sub     r21, r14
    sbc     r22, r15
    sbc     r23, r13
    mov     r0, r20
    rjmp    6f
5:  asr     r23
    ror     r22
    ror     r21
6:  dec     r0
    brpl    5b
    ld      r0, Z+
    add     r21, r0
    ld      r0, Z+
    adc     r22, r0
    ld      r0, Z+
    adc     r23, r0
    st      X+, r21
    st      X+, r22
    st      X+, r23
    sbiw    r24, 1
    breq    8f
    add     r20, r19
    cpi     r20, 8
    breq    3b
    mov     r0, r19
7:  lsl     r14
    rol     r15
    rol     r13
    dec     r0
    brne    7b
    rjmp    4b
8:  .irp    reg, 17,16,15,14,13,12,11,10
    pop     r\reg
    .endr
    ret
    .size   eng_fields_s24, . - eng_fields_s24
