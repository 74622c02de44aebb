/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/adam_f32.c. Y the frame, from Y + 1: gain2, gain1, rate. Below it while they are made t, dw, w, m, v, p.
 * r17:r16 numbers left, r15:r14 dw, r13:r12 w, r11:r10 m, r9:r8 v, r7:r4 a number. */
    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

    .macro  float_to_stack
    push    r25
    push    r24
    push    r23
    push    r22
    .endm

    /* r21:r18 = the float at Y + at */
    .macro  frame at
    ldd     r18, Y+\at
    ldd     r19, Y+\at+1
    ldd     r20, Y+\at+2
    ldd     r21, Y+\at+3
    .endm

    .macro  fetch pointer
    movw    r30, \pointer
    call    eng_float_load
    .endm

    .macro  store pointer
    movw    r30, \pointer
    call    eng_float_store
    movw    \pointer, r30
    .endm

    .section .text.eng_adam_f32, "ax", @progbits
    /* square less square times r25:r22 */
    .type   less_product, @function
less_product:
    movw    r18, r4
    movw    r20, r6
    call    __mulsf3
    movw    r18, r22
    movw    r20, r24
    movw    r22, r4
    movw    r24, r6
    jmp     __subsf3
    .size   less_product, . - less_product

    /* r25:r22 = r7:r4 = 1 - the float r24 bytes into p */
    .type   gain, @function
gain:
    movw    r30, r16
    add     r30, r24
    adc     r31, r1
    call    eng_float_load
    ldi     r22, 0
    ldi     r23, 0
    ldi     r24, 0x80
    ldi     r25, 0x3f
    call    __subsf3
    movw    r4, r22
    movw    r6, r24
    ret
    .size   gain, . - gain

    /* r25:r22 = 1 - beta^t; r7:r4 is 1 - beta, t lies 5 bytes behind Z. r11:r8 the result so far, r15:r12 t. */
    .type   complement, @function
complement:
    ldd     r12, Z+5
    ldd     r13, Z+6
    ldd     r14, Z+7
    ldd     r15, Z+8
    clr     r8
    clr     r9
    movw    r10, r8
1:  sbrs    r12, 0
    rjmp    2f
    movw    r22, r8
    movw    r24, r10
    rcall   less_product
    movw    r18, r8
    movw    r20, r10
    call    __addsf3
    movw    r8, r22
    movw    r10, r24
2:  lsr     r15
    ror     r14
    ror     r13
    ror     r12
    brne    3f
    cp      r13, r1
    cpc     r14, r1
    cpc     r15, r1
    breq    4f
3:  movw    r22, r4
    movw    r24, r6
    rcall   less_product
    movw    r18, r4
    movw    r20, r6
    call    __addsf3
    movw    r4, r22
    movw    r6, r24
    rjmp    1b
4:  movw    r22, r8
    movw    r24, r10
    ret
    .size   complement, . - complement

    .global eng_adam_f32
    .type   eng_adam_f32, @function
    /* p r25:r24, t r23:r20, dw r19:r18, w r17:r16, m r15:r14, v r13:r12 */
eng_adam_f32:
    call    eng_float_enter
    .irp    reg, 13,12,15,14,17,16,19,18,23,22,21,20
    push    r\reg
    .endr
    movw    r16, r24
    ldi     r24, 10
    rcall   gain
    float_to_stack
    in      r30, SPL
    in      r31, SPH
    rcall   complement
    call    sqrt
    movw    r30, r16
    ldd     r18, Z+2
    ldd     r19, Z+3
    ldd     r20, Z+4
    ldd     r21, Z+5
    call    __mulsf3
    float_to_stack
    ldi     r24, 6
    rcall   gain
    float_to_stack
    in      r30, SPL
    in      r31, SPH
    adiw    r30, 8
    rcall   complement
    movw    r18, r22
    movw    r20, r24
    in      r28, SPL
    in      r29, SPH
    ldd     r22, Y+5
    ldd     r23, Y+6
    ldd     r24, Y+7
    ldd     r25, Y+8
    call    __divsf3
    float_to_stack
    in      r28, SPL
    in      r29, SPH
    movw    r30, r16
    .irp    at, 0,1,2,3
    ldd     r0, Z+14+\at
    std     Y+9+\at, r0
    .endr
    ld      r16, Z
    ldd     r17, Z+1
    ldd     r14, Y+21
    ldd     r15, Y+22
    ldd     r12, Y+23
    ldd     r13, Y+24
    ldd     r10, Y+25
    ldd     r11, Y+26
    ldd     r8, Y+27
    ldd     r9, Y+28
    rjmp    2f
1:  fetch   r10
    movw    r4, r18
    movw    r6, r20
    movw    r30, r14
    ld      r22, Z
    ldd     r23, Z+1
    ldd     r24, Z+2
    ldd     r25, Z+3
    call    __subsf3
    frame   5
    call    __mulsf3
    movw    r18, r4
    movw    r20, r6
    call    __addsf3
    store   r10
    movw    r4, r22
    movw    r6, r24
    fetch   r14
    movw    r14, r30
    movw    r22, r18
    movw    r24, r20
    call    __mulsf3
    fetch   r8
    call    __subsf3
    frame   13
    call    __mulsf3
    fetch   r8
    call    __addsf3
    store   r8
    call    sqrt
    frame   9
    call    __addsf3
    float_to_stack
    movw    r22, r4
    movw    r24, r6
    frame   1
    call    __mulsf3
    pop     r18
    pop     r19
    pop     r20
    pop     r21
    call    __divsf3
    movw    r18, r22
    movw    r20, r24
    movw    r30, r12
    ld      r22, Z
    ldd     r23, Z+1
    ldd     r24, Z+2
    ldd     r25, Z+3
    call    __subsf3
    store   r12
    subi    r16, 1
    sbci    r17, 0
2:  cp      r16, r1
    cpc     r17, r1
    breq    3f
    rjmp    1b
3:  adiw    r28, 28
    out     SPL, r28       /* first: no interrupt comes between this and the next */
    out     SPH, r29
    jmp     eng_float_leave
    .size   eng_adam_f32, . - eng_adam_f32
