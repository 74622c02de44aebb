/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/requant_double_s24.c, for records whose left is 0. The product of the sum's magnitude, 24 bits, with the multiplier
 * is rounded as it is for either sign: halves of the first rounding go up, so that those of negative sums lose one first; halves of
 * the second go away from zero.
 *
 * X sums, Y codes, Z records, T set for negative sums, r17:r16 records left, r10 copies, r9 copies left, r13:r12 from the last copy's
 * code to the next record's first one, backwards, r15:r14 from a copy's code to the next. For one channel: r15:r14 stride, Z sums
 * left. Stack: 2 bytes of return address, 18 or 12 saved registers, 4 or 3 of state, 2 of the call. */

    .equ    RESCALE, 0
    .equ    COUNT, 2
    .equ    COPIES, 4
    .equ    RESCALE_STEP, 5
    .equ    ZERO, 6
    .equ    LO, 7
    .equ    HI, 8
    .equ    RECORD, 6

/* eng_requant_double_channel */
    .equ    CHANNEL_STRIDE, 0
    .equ    CHANNEL_ZERO, 2
    .equ    CHANNEL_LO, 3
    .equ    CHANNEL_HI, 4

    .set    sum0, 18
    .set    sum1, 19
    .set    sum2, 20
    .set    mult0, 21
    .set    mult1, 22
    .set    mult2, 23
    .set    mult3, 8
    .set    right_shift, 11
    .set    product0, 24
    .set    product1, 25
    .set    product2, 2
    .set    product3, 3
    .set    product4, 4
    .set    product5, 5
    .set    product6, 6
    .set    null, 7

    .macro  load_flash reg
    ld      \reg, Z+
    .endm

    .macro  carry_up from:vararg
    .irp    reg, \from
    adc     \reg, null
    .endr
    .endm

    .macro  add_product sum, mult, low, high, more:vararg
    mul     \sum, \mult
    add     \low, r0
    adc     \high, r1
    carry_up \more
    .endm

    .macro  load_record
    load_flash mult0
    load_flash mult1
    load_flash mult2
    load_flash mult3
    adiw    r30, 1
    load_flash right_shift
    .endm

/* Magnitude of the code less its zero point, as far as 24 bits go, in product4 and those above it. */
    .macro  magnitude
    ld      sum0, X+
    ld      sum1, X+
    ld      sum2, X+
    bst     sum2, 7
    brtc    1f
    com     sum2
    com     sum1
    neg     sum0
    sbci    sum1, 0xff
    sbci    sum2, 0xff
1:  mul     sum0, mult0
    movw    product0, r0
    mul     sum1, mult1
    movw    product2, r0
    mul     sum2, mult2
    movw    product4, r0
    clr     product6
    mul     sum2, mult3
    add     product5, r0
    adc     product6, r1
    add_product sum0, mult1, product1, product2, product3, product4, product5, product6
    add_product sum1, mult0, product1, product2, product3, product4, product5, product6
    add_product sum0, mult2, product2, product3, product4, product5, product6
    add_product sum2, mult0, product2, product3, product4, product5, product6
    add_product sum1, mult2, product3, product4, product5, product6
    add_product sum2, mult1, product3, product4, product5, product6
    add_product sum0, mult3, product3, product4, product5, product6
    add_product sum1, mult3, product4, product5, product6
    ldi     sum0, 0x40
    add     product3, sum0
    carry_up product4, product5, product6
    brtc    2f
    sec
    .irp    reg, product0,product1,product2,product3,product4,product5,product6
    sbc     \reg, null
    .endr
2:  lsl     product3
    rol     product4
    rol     product5
    rol     product6
    mov     sum0, right_shift
    subi    sum0, 1
    brcs    6f
3:  cpi     sum0, 8
    brlo    4f
    mov     product4, product5
    mov     product5, product6
    clr     product6
    subi    sum0, 8
    rjmp    3b
4:  subi    sum0, 1
    brcs    5f
    lsr     product6
    ror     product5
    ror     product4
    rjmp    4b
5:  sec
    carry_up product4, product5, product6
    lsr     product6
    ror     product5
    ror     product4
6:
    .endm

/* The magnitude of what a sum becomes, in product4 and those above it, and its sign in T. */
    .section .text.eng_requant_double_magnitude, "ax", @progbits
    .type   eng_requant_double_magnitude, @function
eng_requant_double_magnitude:
    magnitude
    ret
    .size   eng_requant_double_magnitude, . - eng_requant_double_magnitude

/* The code of a sum in product0. Zero point, lo and hi lie on the stack. */
    .macro  to_code
    call    eng_requant_double_magnitude
    pop     sum0
    pop     sum1
    pop     sum2
    push    sum2
    push    sum1
    push    sum0
    or      product5, product6
    brne    3f
    mov     product0, sum0
    clr     product1
    sbrc    sum0, 7
    com     product1
    brts    1f
    add     product0, product4
    adc     product1, null
    rjmp    2f
1:  sub     product0, product4
    sbc     product1, null
2:  clr     r0
    sbrc    sum1, 7
    com     r0
    cp      product0, sum1
    cpc     product1, r0
    brge    4f
    mov     product0, sum1
    mov     product1, r0
4:  clr     r0
    sbrc    sum2, 7
    com     r0
    cp      sum2, product0
    cpc     r0, product1
    brge    5f
    mov     product0, sum2
    rjmp    5f
3:  mov     product0, sum1
    brts    5f
    mov     product0, sum2
5:
    .endm

    .section .text.eng_requant_double_s24_s8, "ax", @progbits
    .global eng_requant_double_s24_s8
    .type   eng_requant_double_s24_s8, @function
eng_requant_double_s24_s8:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r22
    movw    r28, r20
    clr     null
    ldd     r16, Z+COUNT
    ldd     r17, Z+COUNT+1
    movw    r14, r16
    ldd     r10, Z+COPIES
    .irp    field, RESCALE_STEP,HI,LO,ZERO
    ldd     r18, Z+\field
    push    r18
    .endr
    ldi     r18, 0xff
    mov     r12, r18
    mov     r13, r18
    mov     r9, r10
    rjmp    7f
6:  add     r12, r14
    adc     r13, r15
7:  dec     r9
    brne    6b
    ldd     r0, Z+RESCALE
    ldd     r31, Z+RESCALE+1
    mov     r30, r0
.Lrecord:
    load_record
    mov     r9, r10
    rjmp    .Lsum
.Lcopy:
    add     r28, r14
    adc     r29, r15
.Lsum:
    to_code
    st      Y, product0
    dec     r9
    brne    .Lcopy
    sub     r28, r12
    sbc     r29, r13
    .irp    reg, sum0,sum1,sum2,mult0
    pop     \reg
    .endr
    .irp    reg, mult0,sum2,sum1,sum0
    push    \reg
    .endr
/* Both ways take five cycles. */
    cpse    mult0, null
    rjmp    .Lstep
    sbiw    r30, RECORD
    nop
.Lstepped:
    subi    r16, 1
    sbci    r17, 0
    breq    9f
    rjmp    .Lrecord
9:  .rept   4
    pop     r0
    .endr
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
.Lstep:
    rjmp    .Lstepped
    .size   eng_requant_double_s24_s8, . - eng_requant_double_s24_s8

    .section .text.eng_requant_double_channel_s24_s8, "ax", @progbits
    .global eng_requant_double_channel_s24_s8
    .type   eng_requant_double_channel_s24_s8, @function
eng_requant_double_channel_s24_s8:
    .irp    reg, 2,3,4,5,6,7,8,11,14,15,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r20
    movw    r28, r18
    clr     null
    ldd     r14, Z+CHANNEL_STRIDE
    ldd     r15, Z+CHANNEL_STRIDE+1
    .irp    field, CHANNEL_HI,CHANNEL_LO,CHANNEL_ZERO
    ldd     r18, Z+\field
    push    r18
    .endr
    movw    r30, r22
    load_record
    movw    r30, r16
6:  to_code
    st      Y, product0
    add     r28, r14
    adc     r29, r15
    sbiw    r30, 1
    breq    7f
    rjmp    6b
7:  .rept   3
    pop     r0
    .endr
    .irp    reg, 29,28,15,14,11,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_requant_double_channel_s24_s8, . - eng_requant_double_channel_s24_s8
