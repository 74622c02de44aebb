/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and differences of floats, as IEEE 754 has them: to nearest, ties to even, subnormal numbers included. They take the place of
 * the library's, which need a fourth more cycles.
 *
 * A r25:r22, B r21:r18, exchanged if |A| < |B|. Exponents in r25 and r21, mantissas in r24:r22 and r20:r18, r30 the bits below that
 * B gets when it is moved by the difference of the exponents, the last of them standing for all below. The sign of A in T. */

    .section .text.__addsf3, "ax", @progbits
    .type   add_odd, @function
add_odd:
.Lboth_low:
    /* subnormal numbers are integers */
    lsr     r24
    lsr     r20
    sbrc    r26, 7
    rjmp    1f
    add     r22, r18
    adc     r23, r19
    adc     r24, r20
    rjmp    2f
1:  sub     r22, r18
    sbc     r23, r19
    sbc     r24, r20
    brne    2f
    cp      r22, r1
    cpc     r23, r1
    breq    3f
2:  bld     r25, 7
3:  ret
.Lhigh:
    /* A is infinite or NaN */
    mov     r27, r22
    or      r27, r23
    or      r27, r24
    brne    .Lnan
    cpi     r21, 255
    brne    1f
    sbrs    r26, 7
1:  rjmp    .Linf
.Lnan:
    ldi     r25, 0x7f
    ldi     r24, 0xc0
    ret
.Llow:
    /* B is 0 or subnormal */
    tst     r25
    breq    .Lboth_low
    lsr     r20
    ldi     r21, 1
    rjmp    .Lboth
    .size   add_odd, . - add_odd

    .global __subsf3
    .type   __subsf3, @function
__subsf3:
    subi    r21, 0x80
    .size   __subsf3, . - __subsf3
    .global __addsf3
    .type   __addsf3, @function
__addsf3:
    mov     r26, r21
    eor     r26, r25       /* bit 7: the signs differ */
    bst     r25, 7
    lsl     r24
    rol     r25            /* exponents in r25, r21; mantissas from bit 1 of r24, r20 */
    lsl     r20
    rol     r21
    cp      r22, r18
    cpc     r23, r19
    cpc     r24, r20
    cpc     r25, r21
    brsh    1f
    movw    r30, r22
    movw    r22, r18
    movw    r18, r30
    movw    r30, r24
    movw    r24, r20
    movw    r20, r30
    sbrc    r26, 7
    rcall   .Lflip
1:  cpi     r25, 255
    breq    .Lhigh
    tst     r21
    breq    .Llow
    sec
    ror     r20
.Lboth:
    sec
    ror     r24
    ldi     r30, 0         /* bits below the mantissa of B */
    sub     r21, r25       /* minus the distance */
    breq    .Laligned
    cpi     r21, -7
    brlo    .Lbytes
    ldi     r27, 1         /* 2^(8 - distance) */
    sbrc    r21, 1
    ldi     r27, 4
    sbrc    r21, 0
    lsl     r27
    sbrc    r21, 2
    swap    r27
    mul     r18, r27
    mov     r30, r0
    mov     r18, r1
    mul     r19, r27
    or      r18, r0
    mov     r19, r1
    mul     r20, r27
    or      r19, r0
    mov     r20, r1
    clr     r1
.Laligned:
    sbrc    r26, 7
    rjmp    .Ldifference
    add     r22, r18
    adc     r23, r19
    adc     r24, r20
    brcc    .Lpack
    ror     r24
    ror     r23
    ror     r22
    ror     r30
    brcc    1f
    ori     r30, 1
1:  inc     r25
    cpi     r25, 255
    brne    .Lpack
.Linf:
    ldi     r25, 0x7f
    ldi     r24, 0x80
    ldi     r23, 0
    ldi     r22, 0
    rjmp    2f
.Lpack:
    dec     r25
    lsr     r25
    ldi     r31, 0
    ror     r31
    add     r24, r31
    adc     r25, r1
    lsl     r30
    brcc    2f
    brne    1f
    sbrs    r22, 0
    rjmp    2f
1:  subi    r22, 255
    sbci    r23, 255
    sbci    r24, 255
    sbci    r25, 255
2:  bld     r25, 7
    ret
.Lbytes:
    cpi     r21, -25
    brsh    5f
    ldi     r18, 0         /* all that counts is that there is something */
    ldi     r19, 0
    ldi     r20, 0
    rjmp    4f
5:  ldi     r27, 0
1:  or      r27, r30
    mov     r30, r18
    mov     r18, r19
    mov     r19, r20
    ldi     r20, 0
    subi    r21, -8
    breq    3f
    cpi     r21, -7
    brlo    1b
2:  lsr     r20
    ror     r19
    ror     r18
    ror     r30
    brcc    6f
    ori     r27, 1
6:  inc     r21
    brne    2b
3:  cpse    r27, r1
4:  ori     r30, 1
    rjmp    .Laligned
.Ldifference:
    neg     r30
    sbc     r22, r18
    sbc     r23, r19
    sbc     r24, r20
    brmi    .Lpack
    mov     r27, r22
    or      r27, r23
    or      r27, r24
    or      r27, r30
    breq    .Lzero
1:  dec     r25
    breq    2f             /* subnormal: nothing to round */
    lsl     r30
    rol     r22
    rol     r23
    rol     r24
    brpl    1b
    rjmp    .Lpack
2:  bld     r25, 7
    ret
.Lzero:
    ldi     r25, 0
    ret
.Lflip:
    brts    1f
    set
    ret
1:  clt
    ret
    .size   __addsf3, . - __addsf3
