/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/rescale.c, for any accumulator and any record. Stack: 8 bytes of saved registers, 4 more and two returns when
 * called through eng_requant_*.
 *
 * a r25:r22, b r21:r18, their product p7 ... p0, zero r17, right shift or its count r16. */

    .equ    MULT, 0
    .equ    LEFT, 4
    .equ    RIGHT, 5
    .equ    ZERO, 0
    .equ    LO, 1
    .equ    HI, 2

    .set    p0, 12
    .set    p1, 13
    .set    p2, 14
    .set    p3, 15
    .set    p4, 26
    .set    p5, 27
    .set    p6, 30
    .set    p7, 31

    .macro  function name
    .section .text.\name, "ax", @progbits
    .global \name
    .type   \name, @function
\name:
    .endm

    .macro  own_function name
    .section .text.\name, "ax", @progbits
    .type   \name, @function
\name:
    .endm

    .macro  save
    .irp    reg, 12,13,14,15,16,17
    push    r\reg
    .endr
    .endm

    .macro  restore
    .irp    reg, 17,16,15,14,13,12
    pop     r\reg
    .endr
    .endm

    .macro  carry_up from:vararg
    .irp    reg, \from
    adc     \reg, r17
    .endr
    .endm

    .macro  cross a, b, low, high, more:vararg
    mul     \a, \b
    add     \low, r0
    adc     \high, r1
    carry_up \more
    .endm

/* p = a * b, signed. 115 cycles with call and return. */
    own_function eng_multiply_s32
    ldi     r17, 0
    mul     r22, r18
    movw    p0, r0
    mul     r23, r19
    movw    p2, r0
    mul     r24, r20
    movw    p4, r0
    mul     r25, r21
    movw    p6, r0
    cross   r22, r19, p1, p2, p3, p4, p5, p6, p7
    cross   r23, r18, p1, p2, p3, p4, p5, p6, p7
    cross   r22, r20, p2, p3, p4, p5, p6, p7
    cross   r24, r18, p2, p3, p4, p5, p6, p7
    cross   r22, r21, p3, p4, p5, p6, p7
    cross   r25, r18, p3, p4, p5, p6, p7
    cross   r23, r20, p3, p4, p5, p6, p7
    cross   r24, r19, p3, p4, p5, p6, p7
    cross   r23, r21, p4, p5, p6, p7
    cross   r25, r19, p4, p5, p6, p7
    cross   r24, r21, p5, p6, p7
    cross   r25, r20, p5, p6, p7
    tst     r25
    brpl    1f
    sub     p4, r18
    sbc     p5, r19
    sbc     p6, r20
    sbc     p7, r21
1:  tst     r21
    brpl    2f
    sub     p4, r22
    sbc     p5, r23
    sbc     p6, r24
    sbc     p7, r25
2:  ret
    .size   eng_multiply_s32, . - eng_multiply_s32

/* r25:r22 = (a * b + 2^30) >> 31 */
    own_function eng_high_product_s32
    rcall   eng_multiply_s32
    lsl     p3
    rol     p4
    rol     p5
    rol     p6
    rol     p7
    lsl     p3
    carry_up p4, p5, p6, p7
    movw    r22, p4
    movw    r24, p6
    clr     r1
    ret
    .size   eng_high_product_s32, . - eng_high_product_s32

    function eng_high_s32
    save
    rcall   eng_high_product_s32
    restore
    ret
    .size   eng_high_s32, . - eng_high_s32

    function eng_divide_s32
    tst     r20
    breq    7f
    cpi     r20, 32
    brsh    6f
    tst     r25
    brpl    1f
    subi    r22, 1
    sbci    r23, 0
    sbci    r24, 0
    sbci    r25, 0
1:  dec     r20
    mov     r18, r25
    lsl     r18
    sbc     r18, r18
2:  cpi     r20, 8
    brlo    3f
    mov     r22, r23
    mov     r23, r24
    mov     r24, r25
    mov     r25, r18
    subi    r20, 8
    rjmp    2b
3:  inc     r20
4:  asr     r25
    ror     r24
    ror     r23
    ror     r22
    dec     r20
    brne    4b
    adc     r22, r1
    adc     r23, r1
    adc     r24, r1
    adc     r25, r1
    ret
6:  ldi     r22, 0
    ldi     r23, 0
    movw    r24, r22
7:  ret
    .size   eng_divide_s32, . - eng_divide_s32

    function eng_rescale_double
    save
    movw    r30, r20
    ldd     r16, Z+RIGHT
    ldd     r17, Z+LEFT
    rjmp    2f
1:  lsl     r22
    rol     r23
    rol     r24
    rol     r25
2:  subi    r17, 1
    brcc    1b
    ldd     r18, Z+MULT
    ldd     r19, Z+MULT+1
    ldd     r20, Z+MULT+2
    ldd     r21, Z+MULT+3
    rcall   eng_high_product_s32
    mov     r20, r16
    restore
    rjmp    eng_divide_s32
    .size   eng_rescale_double, . - eng_rescale_double

    function eng_rescale_single
    save
    movw    r30, r20
    ldd     r16, Z+RIGHT
    ldd     r17, Z+LEFT
    sub     r16, r17
    subi    r16, -30
    ldd     r18, Z+MULT
    ldd     r19, Z+MULT+1
    ldd     r20, Z+MULT+2
    ldd     r21, Z+MULT+3
    rcall   eng_multiply_s32
    tst     r25
    brpl    1f
    ldi     r18, 1
    sub     p0, r18
    .irp    reg, p1, p2, p3, p4, p5, p6, p7
    sbc     \reg, r17
    .endr
1:  cpi     r16, 32
    brlo    5f
    movw    p0, p4
    movw    p2, p6
    mov     p4, p7
    lsl     p4
    sbc     p4, p4
    subi    r16, 32
2:  cpi     r16, 8
    brlo    4f
    mov     p0, p1
    mov     p1, p2
    mov     p2, p3
    mov     p3, p4
    subi    r16, 8
    rjmp    2b
3:  asr     p3
    ror     p2
    ror     p1
    ror     p0
4:  subi    r16, 1
    brcc    3b
    rjmp    7f
6:  asr     p7
    .irp    reg, p6, p5, p4, p3, p2, p1, p0
    ror     \reg
    .endr
5:  subi    r16, 1
    brcc    6b
7:  asr     p4
    ror     p3
    ror     p2
    ror     p1
    ror     p0
    carry_up p0, p1, p2, p3
    movw    r22, p0
    movw    r24, p2
    clr     r1
    restore
    ret
    .size   eng_rescale_single, . - eng_rescale_single

/* clamp(zero + r25:r22, lo, hi) with the record at the top of the stack, whose caller has pushed it. */
    own_function eng_clamp_s8
    pop     r31
    pop     r30
    ldd     r18, Z+ZERO
    mov     r19, r18
    lsl     r19
    sbc     r19, r19
    add     r22, r18
    adc     r23, r19
    adc     r24, r19
    adc     r25, r19
    ldd     r18, Z+LO
    mov     r19, r18
    lsl     r19
    sbc     r19, r19
    cp      r22, r18
    cpc     r23, r19
    cpc     r24, r19
    cpc     r25, r19
    brlt    1f
    ldd     r18, Z+HI
    mov     r19, r18
    lsl     r19
    sbc     r19, r19
    cp      r18, r22
    cpc     r19, r23
    cpc     r19, r24
    cpc     r19, r25
    brlt    1f
    mov     r18, r22
1:  mov     r24, r18
    ret
    .size   eng_clamp_s8, . - eng_clamp_s8

    function eng_requant_double_s8
    push    r18
    push    r19
    rcall   eng_rescale_double
    rjmp    eng_clamp_s8
    .size   eng_requant_double_s8, . - eng_requant_double_s8

    function eng_requant_single_s8
    push    r18
    push    r19
    rcall   eng_rescale_single
    rjmp    eng_clamp_s8
    .size   eng_requant_single_s8, . - eng_requant_single_s8
