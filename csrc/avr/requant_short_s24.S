/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/requant_short_s24.c. The product of 24 x 24 bits is summed without byte 0, which has only one contribution and so
 * no carry; byte 4 is the code less lo + 1, unless byte 5 is not zero. Sums below 2^16 need six of the nine products.
 *
 * X sums, Y codes, Z records, r17:r16 records left, r10 copies, r9 copies left, r13:r12 from the last copy's code to the next
 * record's first one, backwards. For one channel: r11:r10 and r9 the offset, r15:r14 stride, Z sums left. One record
 * for all: the same offset, Z codes, r12 sums left, r13 halvings. A record each, without copies: r9 records left. */

    .equ    STEP, 0
    .equ    COUNT, 2
    .equ    COPIES, 4
    .equ    DOUBLINGS, 5
    .equ    LO, 6
    .equ    HI, 7
    .equ    RECORD, 6

/* eng_requant_short_channel */
    .equ    CHANNEL_STRIDE, 0
    .equ    CHANNEL_DOUBLINGS, 2
    .equ    CHANNEL_LO, 3
    .equ    CHANNEL_HI, 4

/* eng_requant_each */
    .equ    EACH_SUMS, 2
    .equ    EACH_DOUBLINGS, 3
    .equ    EACH_LO, 4
    .equ    EACH_HI, 5

/* eng_requant_same */
    .equ    SAME_SUMS, 2
    .equ    SAME_DOUBLINGS, 3
    .equ    SAME_HALVINGS, 4
    .equ    SAME_LO, 5
    .equ    SAME_HI, 6

    .set    sum0, 18
    .set    sum1, 19
    .set    sum2, 20
    .set    mult0, 21
    .set    mult1, 22
    .set    mult2, 23
    .set    product1, 24
    .set    product2, 25
    .set    product3, 2
    .set    product4, 3
    .set    product5, 4
    .set    zero, 5
    .set    lo, 6
    .set    most, 7
    .set    doublings, 8
    .set    offset3, 9
    .set    offset1, 10
    .set    offset2, 11

    .macro  load_flash reg
    ld      \reg, Z+
    .endm

    .macro  carry_up from:vararg
    .irp    reg, \from
    adc     \reg, zero
    .endr
    .endm

    .macro  add_product sum, mult, low, high, more:vararg
    mul     \sum, \mult
    add     \low, r0
    adc     \high, r1
    carry_up \more
    .endm

/* Add the product of a sum of 16 bits. */
    .macro  multiply
    mul     sum1, mult2
    add     product3, r0
    adc     product4, r1
    add_product sum0, mult2, product2, product3, product4
    add_product sum1, mult1, product2, product3, product4
    add_product sum0, mult1, product1, product2, product3, product4
    add_product sum1, mult0, product1, product2, product3, product4
    mul     sum0, mult0
    add     product1, r1
    carry_up product2, product3, product4
    .endm

/* Add what the third byte makes. */
    .macro  multiply_large
    clr     product5
    add_product sum2, mult0, product2, product3, product4, product5
    add_product sum2, mult1, product3, product4, product5
    mul     sum2, mult2
    add     product4, r0
    adc     product5, r1
    .endm

    .macro  double_sum
    mov     r0, doublings
9:  lsl     sum0
    rol     sum1
    rol     sum2
    dec     r0
    brne    9b
    .endm

    .section .text.eng_requant_short_s24_s8, "ax", @progbits
    .global eng_requant_short_s24_s8
    .type   eng_requant_short_s24_s8, @function
eng_requant_short_s24_s8:
    .irp    reg, 2,3,4,5,6,7,8,9,10,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r22
    movw    r28, r20
    clr     zero
    ldd     r16, Z+COUNT
    ldd     r17, Z+COUNT+1
    movw    r14, r16
    ldd     r10, Z+COPIES
    ldd     doublings, Z+DOUBLINGS
    ldd     lo, Z+LO
    ldd     most, Z+HI
    sub     most, lo
    dec     most
    ldi     r18, 0xff
    mov     r12, r18
    mov     r13, r18
    mov     r9, r10
    rjmp    2f
1:  add     r12, r14
    adc     r13, r15
2:  dec     r9
    brne    1b
    ldd     r0, Z+STEP
    ldd     r31, Z+STEP+1
    mov     r30, r0
    rjmp    .Lrecord
.Lbelow:
    adiw    r30, RECORD
    mov     product4, lo
    rjmp    .Lstore
.Lcopy:
    sbiw    r30, RECORD
    add     r28, r14
    adc     r29, r15
    rjmp    .Lsum
.Ldouble:
    double_sum
    rjmp    .Lmultiply
.Lrecord:
    mov     r9, r10
.Lsum:
    ld      sum0, X+
    ld      sum1, X+
    ld      sum2, X+
    tst     sum2
    brmi    .Lbelow
    load_flash mult0
    load_flash mult1
    load_flash mult2
    load_flash product1
    load_flash product2
    load_flash product3
    clr     product4
    cpse    doublings, zero
    rjmp    .Ldouble
.Lmultiply:
    multiply
    tst     sum2
    brne    .Llarge
.Lclamp:
    cp      most, product4
    brsh    3f
.Lmost:
    mov     product4, most
3:  sec
    adc     product4, lo
.Lstore:
    st      Y, product4
    dec     r9
    brne    .Lcopy
    sub     r28, r12
    sbc     r29, r13
    subi    r16, 1
    sbci    r17, 0
    breq    5f
    rjmp    .Lrecord
5:  .irp    reg, 29,28,17,16,15,14,13,12,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
.Llarge:
    multiply_large
    tst     product5
    breq    .Lclamp
    rjmp    .Lmost
    .size   eng_requant_short_s24_s8, . - eng_requant_short_s24_s8

    .section .text.eng_requant_short_channel_s24_s8, "ax", @progbits
    .global eng_requant_short_channel_s24_s8
    .type   eng_requant_short_channel_s24_s8, @function
eng_requant_short_channel_s24_s8:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,14,15,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r20
    movw    r28, r18
    clr     zero
    ldd     r14, Z+CHANNEL_STRIDE
    ldd     r15, Z+CHANNEL_STRIDE+1
    ldd     doublings, Z+CHANNEL_DOUBLINGS
    ldd     lo, Z+CHANNEL_LO
    ldd     most, Z+CHANNEL_HI
    sub     most, lo
    dec     most
    movw    r30, r22
    load_flash mult0
    load_flash mult1
    load_flash mult2
    load_flash offset1
    load_flash offset2
    load_flash offset3
    movw    r30, r16
    rjmp    .Lchannel_sum
.Lchannel_below:
    mov     product4, lo
    rjmp    .Lchannel_store
.Lchannel_double:
    double_sum
    rjmp    .Lchannel_multiply
.Lchannel_sum:
    ld      sum0, X+
    ld      sum1, X+
    ld      sum2, X+
    tst     sum2
    brmi    .Lchannel_below
    movw    product1, offset1
    mov     product3, offset3
    clr     product4
    cpse    doublings, zero
    rjmp    .Lchannel_double
.Lchannel_multiply:
    multiply
    tst     sum2
    brne    .Lchannel_large
.Lchannel_clamp:
    cp      most, product4
    brsh    2f
.Lchannel_most:
    mov     product4, most
2:  sec
    adc     product4, lo
.Lchannel_store:
    st      Y, product4
    add     r28, r14
    adc     r29, r15
    sbiw    r30, 1
    brne    .Lchannel_sum
    .irp    reg, 29,28,15,14,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
.Lchannel_large:
    multiply_large
    tst     product5
    breq    .Lchannel_clamp
    rjmp    .Lchannel_most
    .size   eng_requant_short_channel_s24_s8, . - eng_requant_short_channel_s24_s8

    .section .text.eng_requant_same_s24_s8, "ax", @progbits
    .global eng_requant_same_s24_s8
    .type   eng_requant_same_s24_s8, @function
eng_requant_same_s24_s8:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r22
    movw    r24, r20
    ldd     r12, Z+SAME_SUMS
    ldd     doublings, Z+SAME_DOUBLINGS
    ldd     r13, Z+SAME_HALVINGS
    ldd     lo, Z+SAME_LO
    ldd     most, Z+SAME_HI
    sub     most, lo
    dec     most
    ldd     r0, Z+STEP
    ldd     r31, Z+STEP+1
    mov     r30, r0
    .irp    reg, mult0, mult1, mult2, offset1, offset2, offset3
    load_flash \reg
    .endr
    movw    r30, r24
    clr     zero
.Lnext:
    ld      sum0, X+
    ld      sum1, X+
    ld      sum2, X+
    mov     product4, lo
    sbrc    sum2, 7
    rjmp    .Lwrite
    mov     product1, offset1
    mov     product2, offset2
    mov     product3, offset3
    clr     product4
    cpse    doublings, zero
    rjmp    .Ldouble_next
.Lmultiply_next:
    multiply
    tst     sum2
    brne    .Llarge_next
    cpse    r13, zero
    rjmp    .Lhalve_small
.Lclamp_next:
    cp      most, product4
    brsh    1f
.Lmost_next:
    mov     product4, most
1:  sec
    adc     product4, lo
.Lwrite:
    st      Z+, product4
    dec     r12
    brne    .Lnext
    .irp    reg, 13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
.Ldouble_next:
    double_sum
    rjmp    .Lmultiply_next
.Llarge_next:
    multiply_large
    cpse    r13, zero
    rjmp    .Lhalve
.Lbeyond:
    tst     product5
    breq    .Lclamp_next
    rjmp    .Lmost_next
.Lhalve_small:
    clr     product5
.Lhalve:
    mov     r0, r13
2:  lsr     product5
    ror     product4
    dec     r0
    brne    2b
    rjmp    .Lbeyond
    .size   eng_requant_same_s24_s8, . - eng_requant_same_s24_s8

    .section .text.eng_requant_each_s24_s8, "ax", @progbits
    .global eng_requant_each_s24_s8
    .type   eng_requant_each_s24_s8, @function
eng_requant_each_s24_s8:
    .irp    reg, 2,3,4,5,6,7,8,9,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r22
    movw    r28, r20
    clr     zero
    ldd     r9, Z+EACH_SUMS
    ldd     doublings, Z+EACH_DOUBLINGS
    ldd     lo, Z+EACH_LO
    ldd     most, Z+EACH_HI
    sub     most, lo
    dec     most
    ldd     r0, Z+STEP
    ldd     r31, Z+STEP+1
    mov     r30, r0
.Leach:
    ld      sum0, X+
    ld      sum1, X+
    ld      sum2, X+
    sbrc    sum2, 7
    rjmp    .Lbelow_each
    .irp    reg, mult0, mult1, mult2, product1, product2, product3
    load_flash \reg
    .endr
    clr     product4
    cpse    doublings, zero
    rjmp    .Ldouble_each
.Lmultiply_each:
    multiply
    tst     sum2
    brne    .Llarge_each
.Lclamp_each:
    cp      most, product4
    brsh    1f
.Lmost_each:
    mov     product4, most
1:  sec
    adc     product4, lo
.Lwrite_each:
    st      Y+, product4
    dec     r9
    brne    .Leach
    .irp    reg, 29,28,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
.Lbelow_each:
    adiw    r30, RECORD
    mov     product4, lo
    rjmp    .Lwrite_each
.Ldouble_each:
    double_sum
    rjmp    .Lmultiply_each
.Llarge_each:
    multiply_large
    tst     product5
    breq    .Lclamp_each
    rjmp    .Lmost_each
    .size   eng_requant_each_s24_s8, . - eng_requant_each_s24_s8
