/* SPDX-License-Identifier: Apache-2.0 */
/* Products and quotients of floats, as IEEE 754 has them: to nearest, ties to even, subnormal numbers included. They take the place
 * of the library's, which need a third more cycles and of which avr-libc 2.0's division rounds subnormal results wrongly.
 *
 * A r25:r22, B r21:r18. Taken apart: exponents in r25 and r21, mantissas in r24:r22 and r20:r18, the sign of the result in T. */

    .section .text.float_product, "ax", @progbits
    .type   float_exchange, @function
float_exchange:
    movw    r26, r22
    movw    r22, r18
    movw    r18, r26
    movw    r26, r24
    movw    r24, r20
    movw    r20, r26
    ret
    .size   float_exchange, . - float_exchange

/* Looks at r25:r22, taken apart: r26 is 0 for a number, which becomes 1.x * 2^(r27:r25), 1 for 0, 2 for infinity, 4 for NaN. */
    .type   float_look, @function
float_look:
    mov     r27, r22
    or      r27, r23
    or      r27, r24
    ldi     r26, 0
    cpi     r25, 255
    breq    3f
    tst     r25
    brne    2f
    ldi     r26, 1
    tst     r27
    breq    4f
    ldi     r26, 0
    ldi     r27, 0
    ldi     r25, 1
    lsr     r24
1:  sbrc    r24, 7
    ret
    lsl     r22
    rol     r23
    rol     r24
    subi    r25, 1
    sbci    r27, 0
    rjmp    1b
2:  ldi     r27, 0
    sec
    ror     r24
    ret
3:  ldi     r26, 2
    cpse    r27, r1
    ldi     r26, 4
4:  ret
    .size   float_look, . - float_look

/* What is not two normal numbers, taken apart; r31 is 0 for a product, 1 for a quotient. Returns to the caller with exponents
 * added or subtracted in r21:r25, or to the caller's caller with the result. */
    .type   float_odd, @function
float_odd:
    rcall   float_exchange
    rcall   float_look
    mov     r0, r26
    mov     r30, r27
    rcall   float_exchange
    rcall   float_look
    sbrs    r31, 0
    rjmp    1f
    /* dividing by 0 is multiplying by infinity, and the other way round */
    ldi     r31, 3
    sbrs    r0, 2
    cpse    r0, r1
    eor     r0, r31
    sub     r25, r21
    sbc     r27, r30
    rjmp    2f
1:  add     r25, r21
    adc     r27, r30
2:  mov     r21, r27
    or      r26, r0
    breq    4f
    pop     r0
    pop     r0
    cpi     r26, 2
    brlo    3f
    brne    5f
    rjmp    float_infinity
3:  rjmp    float_zero
4:  ret
5:  rjmp    float_nan
    .size   float_odd, . - float_odd

    .type   multiply_odd, @function
multiply_odd:
.Lmultiply_odd:
    lsl     r20
    rol     r21
.Lmultiply_odd_b:
    ldi     r31, 0
    rcall   float_odd
    rjmp    .Lproduct
    .size   multiply_odd, . - multiply_odd

    .global __mulsf3
    .type   __mulsf3, @function
__mulsf3:
    mov     r0, r25
    eor     r0, r21
    bst     r0, 7
    lsl     r24
    rol     r25
    breq    .Lmultiply_odd
    cpi     r25, 255
    breq    .Lmultiply_odd
    lsl     r20
    rol     r21
    breq    .Lmultiply_odd_b
    cpi     r21, 255
    breq    .Lmultiply_odd_b
    sec
    ror     r24
    sec
    ror     r20
    add     r25, r21
    ldi     r21, 0
    rol     r21
.Lproduct:
    mul     r22, r18
    movw    r26, r0
    ldi     r30, 0
    ldi     r31, 0
    mul     r23, r18
    add     r27, r0
    adc     r30, r1
    mul     r24, r18
    add     r30, r0
    adc     r31, r1
    mul     r22, r19
    ldi     r18, 0
    add     r27, r0
    adc     r30, r1
    adc     r31, r18
    mul     r22, r20
    ldi     r22, 0
    add     r30, r0
    adc     r31, r1
    adc     r18, r22
    mul     r23, r19
    add     r30, r0
    adc     r31, r1
    adc     r18, r22
    mul     r23, r20
    ldi     r23, 0
    add     r31, r0
    adc     r18, r1
    adc     r23, r22
    mul     r24, r19
    add     r31, r0
    adc     r18, r1
    adc     r23, r22
    mul     r24, r20
    clr     r24
    add     r18, r0
    adc     r23, r1
    clr     r1
    /* r23:r18:r31:r30:r27:r26, between 2^46 and 2^48 */
    or      r26, r27
    subi    r25, 127
    sbci    r21, 0
    tst     r23
    brmi    1f
    lsl     r30
    rol     r31
    rol     r18
    rol     r23
    subi    r25, 1
    sbci    r21, 0
1:  cp      r21, r1
    brne    .Lproduct_far
    cpi     r25, 254
    brsh    float_infinity
    lsr     r25
    ror     r24
    add     r24, r23
    adc     r25, r1
2:  mov     r23, r18
    mov     r22, r31
    lsl     r30
    brcc    4f
    or      r30, r26
    brne    3f
    sbrs    r22, 0
    rjmp    4f
3:  subi    r22, 255
    sbci    r23, 255
    sbci    r24, 255
    sbci    r25, 255
4:  bld     r25, 7
    ret
.Lproduct_far:
    brpl    float_infinity
    cpi     r25, 256-25
    brlo    float_zero
5:  lsr     r23
    ror     r18
    ror     r31
    ror     r30
    brcc    6f
    ori     r26, 1
6:  inc     r25
    brne    5b
    mov     r24, r23
    rjmp    2b
    .size   __mulsf3, . - __mulsf3

    .type   float_nan, @function
float_nan:
    ldi     r25, 0x7f
    ldi     r24, 0xc0
    rjmp    float_power
    .size   float_nan, . - float_nan

    .type   float_infinity, @function
float_infinity:
    ldi     r25, 0x7f
    ldi     r24, 0x80
    rjmp    float_power
    .size   float_infinity, . - float_infinity

    .type   float_zero, @function
float_zero:
    ldi     r25, 0
    ldi     r24, 0
    .size   float_zero, . - float_zero

    .type   float_power, @function
float_power:
    ldi     r23, 0
    ldi     r22, 0
    bld     r25, 7
    clr     r1
    ret
    .size   float_power, . - float_power

    .type   divide_odd, @function
divide_odd:
.Ldivide_odd:
    lsl     r20
    rol     r21
.Ldivide_odd_b:
    ldi     r31, 1
    rcall   float_odd
    rjmp    .Lquotient
    .size   divide_odd, . - divide_odd

    .global __divsf3
    .type   __divsf3, @function
__divsf3:
    mov     r26, r25
    eor     r26, r21
    bst     r26, 7
    lsl     r24
    rol     r25
    breq    .Ldivide_odd
    cpi     r25, 255
    breq    .Ldivide_odd
    lsl     r20
    rol     r21
    breq    .Ldivide_odd_b
    cpi     r21, 255
    breq    .Ldivide_odd_b
    sec
    ror     r24
    sec
    ror     r20
    sub     r25, r21
    sbc     r21, r21
.Lquotient:
    /* mantissas r24:r23:r22, r20:r19:r18, exponent r21:r25; the first bit of the quotient is 1 */
    subi    r25, -126
    sbci    r21, -1
    cp      r22, r18
    cpc     r23, r19
    cpc     r24, r20
    brsh    1f
    lsl     r22
    rol     r23
    rol     r24
    subi    r25, 1
    sbci    r21, 0
1:  sub     r22, r18
    sbc     r23, r19
    sbc     r24, r20
    ldi     r26, 1
2:  mov     r27, r30
    mov     r30, r31
    ldi     r31, 1
    /* 8 bits, inverted, behind a mark */
3:  lsl     r22
    rol     r23
    rol     r24
    brcs    4f
    cp      r22, r18
    cpc     r23, r19
    cpc     r24, r20
    brcs    5f
4:  sub     r22, r18
    sbc     r23, r19
    sbc     r24, r20
    clc
5:  rol     r31
    brcc    3b
    com     r31
    lsl     r26
    sbrs    r26, 3
    rjmp    2b
    /* r27:r30:r31 are the 24 bits behind the first, the last of them for rounding */
    or      r24, r23
    or      r24, r22       /* not 0 if there are more */
    cp      r21, r1
    brne    7f
    cpi     r25, 254
    brsh    9f
    inc     r25
6:  mov     r26, r24
    mov     r24, r27
    mov     r23, r30
    mov     r22, r31
    lsr     r25
    ror     r24
    ror     r23
    ror     r22
    brcc    2f
    cpse    r26, r1
    rjmp    1f
    sbrs    r22, 0
    rjmp    2f
1:  subi    r22, 255
    sbci    r23, 255
    sbci    r24, 255
    sbci    r25, 255
2:  bld     r25, 7
    ret
7:  brpl    9f
    /* the exponent less 1 is below 0: the mantissa moves down, the bits that leave it count together */
    ldi     r26, 1         /* the first bit */
    cpi     r25, 256-25
    brsh    1f
    rjmp    float_zero
1:  lsr     r26
    ror     r27
    ror     r30
    ror     r31
    brcc    2f
    ori     r24, 1
2:  inc     r25
    brne    1b
    rjmp    6b
9:  rjmp    float_infinity
    .size   __divsf3, . - __divsf3
