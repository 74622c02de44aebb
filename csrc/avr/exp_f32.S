/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/exp_f32.c. r15:r12 is x, then r; r16 the magnitude of n, r11:r10 the upper half of n as a float, Y coefficients. */

    .macro  constant d, c, b, a, value
    ldi     \a, (\value) & 0xff
    ldi     \b, ((\value) >> 8) & 0xff
    ldi     \c, ((\value) >> 16) & 0xff
    ldi     \d, ((\value) >> 24) & 0xff
    .endm

    .macro  save
    .irp    reg, 10,11,12,13,14,15,16,28,29
    push    r\reg
    .endr
    movw    r12, r22
    movw    r14, r24
    .endm

    /* Flags of an unsigned comparison of the magnitude r26:r24:r23:r22 with a constant. */
    .macro  compare value
    constant r27, r21, r20, r19, \value
    cp      r22, r19
    cpc     r23, r20
    cpc     r24, r21
    cpc     r26, r27
    .endm

    .section .rodata.exp_f32, "a", @progbits
coefficients:
    .long   0x39506967, 0x3ab743ce, 0x3c088908, 0x3d2aa9c1, 0x3e2aaaaa, 0x3f000000
coefficients_end:

    .section .text.eng_exp_f32, "ax", @progbits
    .type   next_coefficient, @function
next_coefficient:
    ld      r18, Y+
    ld      r19, Y+
    ld      r20, Y+
    ld      r21, Y+
    ret
    .size   next_coefficient, . - next_coefficient

    /* e^r - 1, |r| <= ln(2) / 2 */
    .type   exp_reduced, @function
exp_reduced:
    ldi     r28, lo8(coefficients)
    ldi     r29, hi8(coefficients)
    rcall   next_coefficient
    movw    r22, r18
    movw    r24, r20
1:  movw    r18, r12
    movw    r20, r14
    call    __mulsf3
    rcall   next_coefficient
    call    __addsf3
    cpi     r28, lo8(coefficients_end)
    brne    1b
    push    r25
    push    r24
    push    r23
    push    r22
    movw    r22, r12
    movw    r24, r14
    movw    r18, r12
    movw    r20, r14
    call    __mulsf3
    pop     r18
    pop     r19
    pop     r20
    pop     r21
    call    __mulsf3
    movw    r18, r12
    movw    r20, r14
    jmp     __addsf3
    .size   exp_reduced, . - exp_reduced

    /* r -= product */
    .type   less, @function
less:
    call    __mulsf3
    movw    r18, r22
    movw    r20, r24
    movw    r22, r12
    movw    r24, r14
    call    __subsf3
    movw    r12, r22
    movw    r14, r24
    ret
    .size   less, . - less

    .global eng_exp_f32
    .type   eng_exp_f32, @function
eng_exp_f32:
    save
    mov     r26, r25
    andi    r26, 0x7f
    sbrs    r25, 7
    rjmp    1f
    compare 0x42aea8f7     /* above 87.33 */
    brlo    3f
    compare 0x7f800001
    brsh    2f
    ldi     r25, 0
    ldi     r24, 0
    rjmp    8f
1:  compare 0x42b170a5     /* above 88.72 */
    brlo    3f
    compare 0x7f800001
    brsh    2f
    ldi     r25, 0x7f
    ldi     r24, 0x80
8:  ldi     r23, 0
    ldi     r22, 0
2:  rjmp    .Lend
3:  constant r21, r20, r19, r18, 0x3fb8aa3b /* 1 / ln 2 */
    call    __mulsf3
    constant r21, r20, r19, r18, 0x3f000000
    sbrc    r15, 7
    ldi     r21, 0xbf
    call    __addsf3
    lsl     r24
    rol     r25
    ldi     r16, 0
    cpi     r25, 127
    brlo    7f
    sec
    ror     r24
4:  cpi     r25, 134
    brsh    5f
    lsr     r24
    inc     r25
    rjmp    4b
5:  mov     r16, r24
6:  sbrc    r24, 7
    rjmp    1f
    lsl     r24
    dec     r25
    rjmp    6b
1:  lsl     r24
    lsr     r25
    ror     r24
    bst     r15, 7
    bld     r25, 7
    movw    r10, r24
    ldi     r23, 0
    ldi     r22, 0
    constant r21, r20, r19, r18, 0x3f318000 /* upper part of ln 2 */
    rcall   less
    movw    r24, r10
    ldi     r23, 0
    ldi     r22, 0
    constant r21, r20, r19, r18, 0xb95e8083 /* lower part */
    rcall   less
7:  rcall   exp_reduced
    constant r21, r20, r19, r18, 0x3f800000
    call    __addsf3
    tst     r16
    breq    .Lend
    /* times 2^n: into the exponent, but what leaves its range by a multiplication */
    ldi     r21, 0
    sbrc    r11, 7
    rjmp    1f
    cpi     r16, 128
    brlo    2f
    dec     r16
    ldi     r21, 0x40
2:  lsr     r16
    ldi     r20, 0
    ror     r20
    add     r24, r20
    adc     r25, r16
    rjmp    3f
1:  cpi     r16, 126
    brlo    4f
    dec     r16
    ldi     r21, 0x3f
4:  lsr     r16
    ldi     r20, 0
    ror     r20
    sub     r24, r20
    sbc     r25, r16
3:  tst     r21
    breq    .Lend
    ldi     r20, 0
    ldi     r19, 0
    ldi     r18, 0
    call    __mulsf3
.Lend:
    .irp    reg, 29,28,16,15,14,13,12,11,10
    pop     r\reg
    .endr
    ret
    .size   eng_exp_f32, . - eng_exp_f32

    .section .text.eng_expm1_f32, "ax", @progbits
    .global eng_expm1_f32
    .type   eng_expm1_f32, @function
eng_expm1_f32:
    mov     r26, r25
    andi    r26, 0x7f
    sbrs    r25, 7
    rjmp    1f
    compare 0x3eae147b     /* 0.34 */
    rjmp    2f
1:  compare 0x7f800001
2:  brsh    3f
    save
    call    exp_reduced
    jmp     .Lend
3:  call    eng_exp_f32
    constant r21, r20, r19, r18, 0xbf800000
    jmp     __addsf3
    .size   eng_expm1_f32, . - eng_expm1_f32
