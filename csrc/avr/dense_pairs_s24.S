/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/dense_pairs_s24.c for AVRxt (flash is read as data).
 *
 * X inputs, Y sums, Z starts and weights, r20:r18 and r23:r21 sums of a pair, r24 weight, r25 input, r17:r16 inputs, r15:r14
 * their end, r13 pairs left, r12 zero, r1:r0 products. */

    .equ    IN, 2
    .equ    PAIRS, 4

    .macro  product low, middle, high
    ld      r24, Z+
    muls    r24, r25
    sbc     \high, r12
    add     \low, r0
    adc     \middle, r1
    adc     \high, r12
    .endm

    .section .text.eng_dense_pairs_s24, "ax", @progbits
    .global eng_dense_pairs_s24
    .type   eng_dense_pairs_s24, @function
eng_dense_pairs_s24:
    .irp    reg, 12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r28, r20
    movw    r16, r22
    ldd     r14, Z+IN
    ldd     r15, Z+IN+1
    add     r14, r22
    adc     r15, r23
    ldd     r13, Z+PAIRS
    ld      r0, Z
    ldd     r31, Z+1
    mov     r30, r0
    clr     r12
1:  movw    r26, r16
    .irp    reg, 18,19,20,21,22,23
    ld      r\reg, Z+
    .endr
2:  ld      r25, X+
    product r18, r19, r20
    product r21, r22, r23
    cp      r26, r14
    cpc     r27, r15
    brne    2b
    .irp    reg, 18,19,20,21,22,23
    st      Y+, r\reg
    .endr
    dec     r13
    brne    1b
    .irp    reg, 29,28,17,16,15,14,13,12
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_dense_pairs_s24, . - eng_dense_pairs_s24
