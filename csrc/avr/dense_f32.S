/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/dense_f32.c: row by row whatever the batch, which gives the same bits; scratch is not used.
 *
 * Forward: r15:r12 the sum, Y x, r17:r16 w, r11:r10 inputs left, r9:r8 outputs left, r7:r6 y, r5:r4 bias, r3:r2 p; on the stack,
 * from SP + 1, batch left, bias, w.
 * Backward: r5:r2 an error, Y what it is multiplied with, r17:r16 what that is added to, r11:r10 numbers left, r7:r6 dy, r9:r8 x,
 * r13:r12 w, r15:r14 dbias; on the stack, from SP + 1, inputs, w, dw, dbias, p, batch left, dx; below it in loops outputs left. */
    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

    .section .text.eng_dense_f32_scratch, "ax", @progbits
    .global eng_dense_f32_scratch
    .type   eng_dense_f32_scratch, @function
eng_dense_f32_scratch:
    ldi     r24, 0
    ldi     r25, 0
    ret
    .size   eng_dense_f32_scratch, . - eng_dense_f32_scratch

    .section .text.eng_dense_f32, "ax", @progbits
    .global eng_dense_f32
    .type   eng_dense_f32, @function
eng_dense_f32:
    call    eng_float_enter
    movw    r2, r24
    movw    r28, r22
    movw    r6, r16
    push    r21
    push    r20
    push    r19
    push    r18
    movw    r30, r24
    ldd     r0, Z+1
    push    r0
    ld      r0, Z
    push    r0
1:  in      r30, SPL
    in      r31, SPH
    ldd     r4, Z+3
    ldd     r5, Z+4
    ldd     r16, Z+5
    ldd     r17, Z+6
    movw    r30, r2
    ldd     r8, Z+4
    ldd     r9, Z+5
2:  movw    r30, r2
    ldd     r10, Z+2
    ldd     r11, Z+3
    movw    r30, r4
    ld      r12, Z+
    ld      r13, Z+
    ld      r14, Z+
    ld      r15, Z+
    movw    r4, r30
    push    r28
    push    r29
3:  movw    r30, r16
    call    eng_float_load
    movw    r16, r30
    ld      r22, Y+
    ld      r23, Y+
    ld      r24, Y+
    ld      r25, Y+
    call    __mulsf3
    movw    r18, r12
    movw    r20, r14
    call    __addsf3
    movw    r12, r22
    movw    r14, r24
    movw    r30, r10
    sbiw    r30, 1
    movw    r10, r30
    brne    3b
    movw    r26, r28
    pop     r29
    pop     r28
    movw    r30, r6
    st      Z+, r12
    st      Z+, r13
    st      Z+, r14
    st      Z+, r15
    movw    r6, r30
    movw    r30, r8
    sbiw    r30, 1
    movw    r8, r30
    brne    2b
    movw    r28, r26
    pop     r24
    pop     r25
    sbiw    r24, 1
    push    r25
    push    r24
    brne    1b
    .rept   6
    pop     r0
    .endr
    jmp     eng_float_leave
    .size   eng_dense_f32, . - eng_dense_f32

    .section .text.eng_dense_f32_backward, "ax", @progbits
    /* r16:r17 += r2-r5 times Y, r10:r11 numbers; both pointers move on */
    .type   multiply_add, @function
multiply_add:
1:  ld      r18, Y+
    ld      r19, Y+
    ld      r20, Y+
    ld      r21, Y+
    movw    r22, r2
    movw    r24, r4
    call    __mulsf3
    movw    r30, r16
    call    eng_float_load
    call    __addsf3
    movw    r30, r16
    call    eng_float_store
    movw    r16, r30
    movw    r30, r10
    sbiw    r30, 1
    movw    r10, r30
    brne    1b
    ret
    .size   multiply_add, . - multiply_add

    .global eng_dense_f32_backward
    .type   eng_dense_f32_backward, @function
eng_dense_f32_backward:
    call    eng_float_enter
    push    r13
    push    r12
    movw    r30, r24
    ldd     r0, Z+1
    push    r0
    ld      r0, Z
    push    r0
    push    r25
    push    r24
    push    r15
    push    r14
    push    r17
    push    r16
    push    r21
    push    r20
    ldd     r0, Z+3
    push    r0
    ldd     r0, Z+2
    push    r0
    movw    r6, r18
    movw    r8, r22
1:  in      r28, SPL
    in      r29, SPH
    ldd     r12, Y+3
    ldd     r13, Y+4
    ldd     r16, Y+5
    ldd     r17, Y+6
    ldd     r14, Y+7
    ldd     r15, Y+8
    ldd     r30, Y+9
    ldd     r31, Y+10
    ldd     r0, Z+5
    push    r0
    ldd     r0, Z+4
    push    r0
    ldd     r26, Y+13
    ldd     r27, Y+14
    sbiw    r26, 0
    breq    3f
    ldd     r24, Y+1
    ldd     r25, Y+2
2:  st      X+, r1
    st      X+, r1
    st      X+, r1
    st      X+, r1
    sbiw    r24, 1
    brne    2b
3:  movw    r30, r6
    ld      r2, Z+
    ld      r3, Z+
    ld      r4, Z+
    ld      r5, Z+
    movw    r6, r30
    movw    r22, r2
    movw    r24, r4
    movw    r30, r14
    call    eng_float_load
    call    __addsf3
    movw    r30, r14
    call    eng_float_store
    movw    r14, r30
    movw    r28, r8
    in      r30, SPL
    in      r31, SPH
    ldd     r10, Z+3
    ldd     r11, Z+4
    rcall   multiply_add
    in      r30, SPL
    in      r31, SPH
    ldd     r10, Z+3
    ldd     r11, Z+4
    ldd     r26, Z+15
    ldd     r27, Z+16
    sbiw    r26, 0
    breq    4f
    movw    r28, r12
    push    r17
    push    r16
    movw    r16, r26
    rcall   multiply_add
    movw    r12, r28
    pop     r16
    pop     r17
4:  pop     r24
    pop     r25
    sbiw    r24, 1
    push    r25
    push    r24
    brne    3b
    pop     r0
    pop     r0
    in      r28, SPL
    in      r29, SPH
    ldd     r24, Y+1
    ldd     r25, Y+2
    lsl     r24
    rol     r25
    lsl     r24
    rol     r25
    add     r8, r24
    adc     r9, r25
    ldd     r26, Y+13
    ldd     r27, Y+14
    sbiw    r26, 0
    breq    5f
    add     r26, r24
    adc     r27, r25
    std     Y+13, r26
    std     Y+14, r27
5:  ldd     r24, Y+11
    ldd     r25, Y+12
    sbiw    r24, 1
    std     Y+11, r24
    std     Y+12, r25
    breq    6f
    rjmp    1b
6:  adiw    r28, 14
    out     SPL, r28       /* first: no interrupt comes between this and the next */
    out     SPH, r29
    jmp     eng_float_leave
    .size   eng_dense_f32_backward, . - eng_dense_f32_backward
