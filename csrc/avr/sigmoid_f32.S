/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/sigmoid_f32.c. r17:r16 numbers left, Y x or y, r15:r14 y or dx, r13:r12 dy, r11:r8 the exponential. */

    .section .text.eng_sigmoid_f32, "ax", @progbits
    .global eng_sigmoid_f32
    .type   eng_sigmoid_f32, @function
eng_sigmoid_f32:
    .irp    reg, 7,8,9,10,11,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r16, r24
    movw    r28, r22
    movw    r14, r20
    rjmp    3f
1:  ld      r22, Y+
    ld      r23, Y+
    ld      r24, Y+
    ld      r25, Y+
    mov     r7, r25        /* the sign */
    ori     r25, 0x80
    call    eng_exp_f32    /* of -|v|: at most 1 */
    movw    r8, r22
    movw    r10, r24
    ldi     r18, 0
    ldi     r19, 0
    ldi     r20, 0x80
    ldi     r21, 0x3f
    call    __addsf3
    movw    r18, r22
    movw    r20, r24
    movw    r22, r8
    movw    r24, r10
    sbrc    r7, 7
    rjmp    2f
    ldi     r22, 0
    ldi     r23, 0
    ldi     r24, 0x80
    ldi     r25, 0x3f
2:  call    __divsf3
    movw    r30, r14
    call    eng_float_store
    movw    r14, r30
    subi    r16, 1
    sbci    r17, 0
3:  cp      r16, r1
    cpc     r17, r1
    brne    1b
    .irp    reg, 29,28,17,16,15,14,11,10,9,8,7
    pop     r\reg
    .endr
    ret
    .size   eng_sigmoid_f32, . - eng_sigmoid_f32

    .section .text.eng_sigmoid_f32_backward, "ax", @progbits
    .global eng_sigmoid_f32_backward
    .type   eng_sigmoid_f32_backward, @function
eng_sigmoid_f32_backward:
    .irp    reg, 6,7,8,9,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r16, r24
    movw    r28, r22
    movw    r12, r20
    movw    r14, r18
    rjmp    2f
1:  ld      r6, Y+
    ld      r7, Y+
    ld      r8, Y+
    ld      r9, Y+
    movw    r18, r6
    movw    r20, r8
    ldi     r22, 0
    ldi     r23, 0
    ldi     r24, 0x80
    ldi     r25, 0x3f
    call    __subsf3
    push    r25
    push    r24
    push    r23
    push    r22
    movw    r30, r12
    call    eng_float_load
    movw    r12, r30
    movw    r22, r6
    movw    r24, r8
    call    __mulsf3
    pop     r18
    pop     r19
    pop     r20
    pop     r21
    call    __mulsf3
    movw    r30, r14
    call    eng_float_store
    movw    r14, r30
    subi    r16, 1
    sbci    r17, 0
2:  cp      r16, r1
    cpc     r17, r1
    brne    1b
    .irp    reg, 29,28,17,16,15,14,13,12,9,8,7,6
    pop     r\reg
    .endr
    ret
    .size   eng_sigmoid_f32_backward, . - eng_sigmoid_f32_backward
