/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/mse_f32.c. Y dx or 0, r17:r16 x, r15:r14 target, r13:r10 sum, r9:r6 difference, r5:r4 loss, r3:r2 columns left;
 * on the stack, from SP + 1, scale, columns as a float, columns, rows left. */
    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

    .section .text.eng_mse_f32, "ax", @progbits
    /* r25:r22 = r25:r24, which is not 0 */
    .type   to_float, @function
to_float:
    ldi     r26, 142
1:  sbrc    r25, 7
    rjmp    2f
    lsl     r24
    rol     r25
    dec     r26
    rjmp    1b
2:  ldi     r22, 0
    mov     r23, r24
    mov     r24, r25
    mov     r25, r26
    lsl     r24
    lsr     r25
    ror     r24
    ret
    .size   to_float, . - to_float

    .global eng_mse_f32
    .type   eng_mse_f32, @function
eng_mse_f32:
    call    eng_float_enter
    movw    r28, r16
    movw    r16, r22
    movw    r14, r20
    movw    r4, r18
    movw    r30, r24
    .irp    at, 1,0,3,2
    ldd     r0, Z+\at
    push    r0
    .endr
    ldd     r2, Z+0
    ldd     r3, Z+1
    ldd     r24, Z+2
    ldd     r25, Z+3
    rcall   to_float
    .irp    reg, 25,24,23,22
    push    r\reg
    .endr
    movw    r6, r22
    movw    r8, r24
    movw    r24, r2
    rcall   to_float
    movw    r18, r6
    movw    r20, r8
    call    __mulsf3
    movw    r18, r22
    movw    r20, r24
    ldi     r22, 0
    ldi     r23, 0
    ldi     r24, 0
    ldi     r25, 0x40
    call    __divsf3
    .irp    reg, 25,24,23,22
    push    r\reg
    .endr
1:  in      r30, SPL
    in      r31, SPH
    ldd     r2, Z+9
    ldd     r3, Z+10
    clr     r10
    clr     r11
    movw    r12, r10
2:  movw    r30, r14
    call    eng_float_load
    movw    r14, r30
    movw    r30, r16
    ld      r22, Z+
    ld      r23, Z+
    ld      r24, Z+
    ld      r25, Z+
    movw    r16, r30
    call    __subsf3
    movw    r6, r22
    movw    r8, r24
    movw    r18, r22
    movw    r20, r24
    call    __mulsf3
    movw    r18, r10
    movw    r20, r12
    call    __addsf3
    movw    r10, r22
    movw    r12, r24
    sbiw    r28, 0
    breq    3f
    in      r30, SPL
    in      r31, SPH
    ldd     r18, Z+1
    ldd     r19, Z+2
    ldd     r20, Z+3
    ldd     r21, Z+4
    movw    r22, r6
    movw    r24, r8
    call    __mulsf3
    st      Y+, r22
    st      Y+, r23
    st      Y+, r24
    st      Y+, r25
3:  movw    r30, r2
    sbiw    r30, 1
    movw    r2, r30
    brne    2b
    in      r30, SPL
    in      r31, SPH
    ldd     r18, Z+5
    ldd     r19, Z+6
    ldd     r20, Z+7
    ldd     r21, Z+8
    movw    r22, r10
    movw    r24, r12
    call    __divsf3
    movw    r30, r4
    call    eng_float_store
    movw    r4, r30
    in      r30, SPL
    in      r31, SPH
    ldd     r24, Z+11
    ldd     r25, Z+12
    sbiw    r24, 1
    std     Z+11, r24
    std     Z+12, r25
    breq    4f
    rjmp    1b
4:  .rept   12
    pop     r0
    .endr
    jmp     eng_float_leave
    .size   eng_mse_f32, . - eng_mse_f32
