/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/requant_s24.c. The product of 24 x 32 bits is summed by bytes from the lowest, without byte 0, which has only one
 * contribution and so no carry; the byte at the shift is the code plus 128, unless the one above is not zero. T: the shift is 32,
 * and the product is moved up by a byte.
 *
 * X sums, Y codes, Z records, r25:r24 sums left, r20:r18 sum, mult0 ... mult3, product1 ... product6, r16 zero, r8 lo,
 * r9 hi, r10 0x80 if negative sums give lo. */

    .equ    STEP, 0
    .equ    COUNT, 2
    .equ    LO, 4
    .equ    HI, 5
    .equ    NEGATIVE_IS_LO, 6

    .set    mult0, 21
    .set    mult1, 22
    .set    mult2, 23
    .set    mult3, 17
    .set    product1, 2
    .set    product2, 12
    .set    product3, 13
    .set    product4, 14
    .set    product5, 15
    .set    product6, 3

    .macro  add_product sum, mult, low, middle, high
    mul     \sum, \mult
    add     \low, r0
    adc     \middle, r1
    adc     \high, r16
    .endm

    .macro  add_offset first, second, third, fourth, carry
    ld      r0, Z+
    add     \first, r0
    ld      r0, Z+
    adc     \second, r0
    ld      r0, Z+
    adc     \third, r0
    ld      r0, Z+
    adc     \fourth, r0
    adc     \carry, r16
    .endm

    .macro  multiply
    mul     r18, mult0
    mov     product1, r1
    clr     product2
    clr     product3
    add_product r18, mult1, product1, product2, product3
    add_product r19, mult0, product1, product2, product3
    clr     product4
    add_product r18, mult2, product2, product3, product4
    add_product r19, mult1, product2, product3, product4
    add_product r20, mult0, product2, product3, product4
    clr     product5
    add_product r18, mult3, product3, product4, product5
    add_product r19, mult2, product3, product4, product5
    add_product r20, mult1, product3, product4, product5
    clr     product6
    add_product r19, mult3, product4, product5, product6
    add_product r20, mult2, product4, product5, product6
    mul     r20, mult3
    add     product5, r0
    adc     product6, r1
    .endm

    .section .text.eng_requant_s24_s8, "ax", @progbits
    .global eng_requant32_s24_s8
    .type   eng_requant32_s24_s8, @function
eng_requant32_s24_s8:
    set
    rjmp    .Lrequant
    .size   eng_requant32_s24_s8, . - eng_requant32_s24_s8

    .global eng_requant40_s24_s8
    .type   eng_requant40_s24_s8, @function
eng_requant40_s24_s8:
    clt
.Lrequant:
    .irp    reg, 2,3,8,9,10,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r22
    movw    r28, r20
    ldd     r24, Z+COUNT
    ldd     r25, Z+COUNT+1
    ldd     r8, Z+LO
    ldd     r9, Z+HI
    ldd     r10, Z+NEGATIVE_IS_LO
    lsr     r10
    ror     r10
    ldd     r0, Z+STEP
    ldd     r31, Z+STEP+1
    mov     r30, r0
    ldi     r16, 0
    rjmp    7f
2:  adiw    r30, 8
    mov     r18, r8
    rjmp    6f
1:  ld      r18, X+
    ld      r19, X+
    ld      r20, X+
    mov     r0, r20
    and     r0, r10
    brne    2b
    ld      mult0, Z+
    ld      mult1, Z+
    ld      mult2, Z+
    ld      mult3, Z+
    multiply
    tst     r20
    brmi    .Lnegative
.Lshift:
    brts    .Lshift32
.Lround:
    add_offset product2, product3, product4, product5, product6
    mov     r18, product5
    breq    4f
    mov     r18, r9
    sbrc    product6, 7
    mov     r18, r8
    rjmp    6f
4:  subi    r18, 0x80
    cp      r18, r8
    brge    5f
    mov     r18, r8
5:  cp      r9, r18
    brge    6f
    mov     r18, r9
6:  st      Y+, r18
7:  sbiw    r24, 1
    brcs    8f
    rjmp    1b
8:  .irp    reg, 29,28,17,16,15,14,13,12,10,9,8,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
.Lnegative:
    sub     product3, mult0
    sbc     product4, mult1
    sbc     product5, mult2
    sbc     product6, mult3
    rjmp    .Lshift
.Lshift32:
    mov     product6, product5
    mov     product5, product4
    mov     product4, product3
    mov     product3, product2
    mov     product2, product1
    rjmp    .Lround
    .size   eng_requant40_s24_s8, . - eng_requant40_s24_s8
