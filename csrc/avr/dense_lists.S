/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/dense_lists.c for AVRxt: eng_dense_lists_s24.
 *
 * X inputs, Y lists, Z sums, r23:r22 first input, r19 base, r18 weight, r21:r20 inputs added up, r15:r25:r24 the row's sum,
 * r16 entries left, r17 rows left, r1 zero between products. */

    .equ    ROW_COUNT, 2
    .equ    BASE_AT, 3

    .macro  add_input
    ld      r0, Y+
    add     r26, r0
    adc     r27, r1
    ld      r0, X
    sub     r0, r19
    add     r20, r0
    adc     r21, r1
    .endm

    .section .text.eng_dense_lists_s24, "ax", @progbits
    .global eng_dense_lists_s24
    .type   eng_dense_lists_s24, @function
eng_dense_lists_s24:
    push    r15
    push    r16
    push    r17
    push    r28
    push    r29
    movw    r30, r24
    ldd     r28, Z+0
    ldd     r29, Z+1
    ldd     r17, Z+ROW_COUNT
    ldd     r19, Z+BASE_AT
    movw    r30, r20
    rjmp    .Lrow
.Lmore:
    subi    r16, 127
    ld      r0, Y+
    add     r27, r0
    rjmp    .Lentries
.Lend:
    st      Z+, r24
    st      Z+, r25
    st      Z+, r15
    dec     r17
    brne    .Lrow
    pop     r29
    pop     r28
    pop     r17
    pop     r16
    pop     r15
    ret
.Lrow:
    ld      r24, Y+
    ld      r25, Y+
    ld      r15, Y+
.Lcontrol:
    ld      r16, Y+
    subi    r16, 1
    brcs    .Lend
    brmi    .Lmore
    ld      r18, Y+
    movw    r26, r22
.Lentries:
    clr     r20
    clr     r21
    lsr     r16
    brcc    1f
    add_input
1:  lsr     r16
    brcc    2f
    add_input
    add_input
2:  tst     r16
    breq    .Lproduct
.Lfour:
    add_input
    add_input
    add_input
    add_input
    dec     r16
    brne    .Lfour
.Lproduct:
    mulsu   r18, r20
    sbc     r16, r16
    add     r24, r0
    adc     r25, r1
    adc     r15, r16
    mulsu   r18, r21
    add     r25, r0
    adc     r15, r1
    clr     r1
    rjmp    .Lcontrol
    .size   eng_dense_lists_s24, . - eng_dense_lists_s24
