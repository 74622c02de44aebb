/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/dense_int.c. The sum is that of w * (x + 128), whose factors have 8 bits, less (zero_x + 128) * sum of w, which is 0
 * for most inputs. Up to 256 products are summed in r21:r23:r22, which they cannot overflow (256 * 255 * 127 < 2^23), then
 * r21 is moved into the upper half r25:r24.
 *
 * X inputs, Y weights, r18 and r19 operands, r20 inputs left in this 256, r17 256s left, r16 zero, r15:r14 inputs, r13 zero_x +
 * 128, r11:r10 x, r9:r8 w of the row, r7:r6 bias, r5:r4 acc, r3:r2 outputs left; on the stack w, bias, rows left, p. */
    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

    .macro  fold
    mov     r18, r21
    lsl     r18
    sbc     r18, r18
    add     r24, r21
    adc     r25, r18
    ldi     r21, 0
    .endm

    .section .text.eng_dense_int, "ax", @progbits
    .global eng_dense_int
    .type   eng_dense_int, @function
eng_dense_int:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r4, r16
    movw    r10, r22
    movw    r30, r24
    .irp    reg, 31,30
    push    r\reg
    .endr
    ldd     r0, Z+1
    push    r0
    ld      r0, Z
    push    r0
    .irp    reg, 19,18,21,20
    push    r\reg
    .endr
    ldd     r14, Z+2
    ldd     r15, Z+3
    ldd     r13, Z+6
    ldi     r16, 128
    add     r13, r16
    ldi     r16, 0
.Lrow:
    in      r30, SPL
    in      r31, SPH
    ldd     r28, Z+1
    ldd     r29, Z+2
    ldd     r6, Z+3
    ldd     r7, Z+4
    ldd     r26, Z+7
    ldd     r27, Z+8
    adiw    r26, 4
    ld      r2, X+
    ld      r3, X
.Loutput:
    movw    r8, r28
    movw    r26, r10
    ldi     r21, 0
    ldi     r22, 0
    ldi     r23, 0
    movw    r24, r22
    mov     r17, r15
    mov     r20, r14
    tst     r20
    breq    2f
1:  ld      r18, X+
    subi    r18, 128
    ldd     r19, Y+1
    adiw    r28, 2
    mulsu   r19, r18
    sbc     r21, r16
    add     r22, r0
    adc     r23, r1
    adc     r21, r16
    dec     r20
    brne    1b
2:  fold
    subi    r17, 1
    brcc    1b
    tst     r13
    breq    .Lbias
    mov     r17, r15
    mov     r20, r14
    movw    r30, r8
    tst     r20
    breq    4f
3:  mov     r18, r13
    ldd     r19, Z+1
    adiw    r30, 2
    mulsu   r19, r18
    sbc     r18, r18
    sub     r22, r0
    sbc     r23, r1
    sbc     r21, r18
    dec     r20
    brne    3b
4:  fold
    subi    r17, 1
    brcc    3b
.Lbias:
    movw    r30, r6
    ld      r18, Z+
    add     r22, r18
    ld      r18, Z+
    adc     r23, r18
    ld      r18, Z+
    adc     r24, r18
    ld      r18, Z+
    adc     r25, r18
    movw    r6, r30
    movw    r30, r4
    st      Z+, r22
    st      Z+, r23
    st      Z+, r24
    st      Z+, r25
    movw    r4, r30
    movw    r30, r2
    sbiw    r30, 1
    movw    r2, r30
    breq    6f
    rjmp    .Loutput
6:
    movw    r10, r26
    in      r30, SPL
    in      r31, SPH
    ldd     r24, Z+5
    ldd     r25, Z+6
    sbiw    r24, 1
    std     Z+5, r24
    std     Z+6, r25
    breq    5f
    rjmp    .Lrow
5:  .rept   8
    pop     r0
    .endr
    clr     r1
    .irp    reg, 29,28,17,16,15,14,13,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    ret
    .size   eng_dense_int, . - eng_dense_int
