/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/im2col_u8.c. A patch is copied run by run, four codes a turn; a run outside the image is filled.
 *
 * X codes, Z patch, Y eng_im2col, r31:r30 too. r5:r4 where the patch begins, r7 whether anything is not 0, r8 run, r9 runs,
 * r10 last column where a run is inside, r11 rows of taps left, r13:r12 where a row of taps begins in x, r15:r14 its row,
 * r17:r16 its column, r6 runs left, r18 codes left, r19 0x80, r21:r20 column of a run, r23:r22 sum of a run, r2:r25:r24 sum of
 * a patch, r3 zero; T for the second patch. Stack: 2 bytes of return address, 18 saved registers, 4 of state. */

    .equ    ROW, 0
    .equ    DOWN, 2
    .equ    RIGHT, 4
    .equ    IN_H, 6
    .equ    IN_C, 7
    .equ    KERNEL_H, 8
    .equ    KERNEL_W, 9
    .equ    DILATION_H, 10
    .equ    DILATION_W, 11
    .equ    PADDING, 12
    .equ    RUN, 13
    .equ    RUNS, 14
    .equ    LAST, 15
    .equ    LAST_COLUMN, 16

    .macro  copy_code to
    ld      r0, X+
    eor     r0, r19
    std     Z+\to, r0
    add     r22, r0
    adc     r23, r3
    .endm

    .section .text.eng_im2col_u8, "ax", @progbits
    .global eng_im2col_u8
    .type   eng_im2col_u8, @function
eng_im2col_u8:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r28, r24
    movw    r4, r18
    push    r22
    push    r23
    movw    r26, r20
    clr     r3
    clr     r7
    ldi     r19, 0x80
    movw    r30, r4
    clt
.Lpatch:
    ld      r14, X+
    ld      r15, X+
    ld      r16, X+
    ld      r17, X+
    pop     r21
    pop     r20
    push    r20
    push    r21
    push    r26
    push    r27
    adiw    r30, 6
    ldd     r22, Y+ROW
    ldd     r23, Y+ROW+1
    ldd     r24, Y+IN_C
    mul     r14, r22
    movw    r12, r0
    mul     r14, r23
    add     r13, r0
    mul     r15, r22
    add     r13, r0
    mul     r16, r24
    add     r12, r0
    adc     r13, r1
    mul     r17, r24
    add     r13, r0
    add     r12, r20
    adc     r13, r21
    clr     r24
    clr     r25
    clr     r2
    ldd     r11, Y+KERNEL_H
    ldd     r8, Y+RUN
    ldd     r9, Y+RUNS
    ldd     r10, Y+LAST
    tst     r17
    brne    1f
    cp      r10, r16
    brsh    .Lrow
1:  ldd     r8, Y+IN_C
    ldd     r9, Y+KERNEL_W
    ldd     r10, Y+LAST_COLUMN
.Lrow:
    movw    r26, r12
    movw    r20, r16
    ldd     r0, Y+IN_H
    cp      r14, r0
    cpc     r15, r3
    brlo    2f
    ldi     r21, 0x80
2:  mov     r6, r9
.Lrun:
    mov     r18, r8
    tst     r21
    brne    .Lfill
    cp      r10, r20
    brlo    .Lfill
    clr     r22
    clr     r23
    subi    r18, 4
    brlo    4f
3:  copy_code 0
    copy_code 2
    copy_code 4
    copy_code 6
    adiw    r30, 8
    subi    r18, 4
    brsh    3b
4:  subi    r18, 0xfc
    breq    6f
5:  copy_code 0
    adiw    r30, 2
    dec     r18
    brne    5b
6:  add     r24, r22
    adc     r25, r23
    adc     r2, r3
    dec     r6
    breq    .Lnext_row
    sub     r26, r8
    sbc     r27, r3
.Lnext_run:
    ldd     r0, Y+DILATION_W
    add     r20, r0
    adc     r21, r3
    ldd     r0, Y+RIGHT
    add     r26, r0
    ldd     r0, Y+RIGHT+1
    adc     r27, r0
    rjmp    .Lrun
.Lfill:
    ldd     r22, Y+PADDING
    mul     r22, r18
    add     r24, r0
    adc     r25, r1
    adc     r2, r3
7:  st      Z, r22
    adiw    r30, 2
    dec     r18
    brne    7b
    dec     r6
    brne    .Lnext_run
.Lnext_row:
    ldd     r0, Y+DOWN
    add     r12, r0
    ldd     r0, Y+DOWN+1
    adc     r13, r0
    ldd     r0, Y+DILATION_H
    add     r14, r0
    adc     r15, r3
    dec     r11
    breq    8f
    rjmp    .Lrow
/* -128 times the sum, before the taps. */
8:  or      r7, r24
    or      r7, r25
    or      r7, r2
    movw    r30, r4
    lsr     r2
    ror     r25
    ror     r24
    mov     r22, r3
    ror     r22
    neg     r22
    st      Z, r22
    mov     r22, r3
    sbc     r22, r24
    std     Z+1, r22
    mov     r22, r3
    sbc     r22, r25
    std     Z+2, r22
    pop     r27
    pop     r26
    brts    9f
    set
    movw    r30, r4
    adiw    r30, 3
    movw    r4, r30
    sbiw    r30, 2
    rjmp    .Lpatch
9:  pop     r0
    pop     r0
    mov     r24, r7
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_im2col_u8, . - eng_im2col_u8
