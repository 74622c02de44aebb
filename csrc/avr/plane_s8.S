/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/plane_s8.c. Two codes a turn.
 *
 * X codes, Z plane, Y runs, r25:r24 where the row begins in x, r21:r20 its number, r18 rows left, r17:r16 step, r15:r14 codes of a
 * row of x, r13 runs, r12 pitch, r11:r10 first run, r9 rows of x, r8 padding, r7 zero, r22 runs left, r23 codes left. */

    .equ    RUN, 0
    .equ    ROW, 2
    .equ    STEP, 4
    .equ    RUNS, 6
    .equ    PITCH, 7
    .equ    IN_H, 8
    .equ    PADDING, 9

    .equ    FIRST, 0
    .equ    LEFT, 2
    .equ    INSIDE, 3
    .equ    RIGHT, 4
    .equ    RUN_SIZE, 5

    .macro  copy_code
    ld      r0, X
    add     r26, r16
    adc     r27, r17
    st      Z+, r0
    .endm

    .macro  fill
1:  st      Z+, r8
    dec     r23
    brne    1b
    .endm

    .section .text.eng_plane_s8, "ax", @progbits
    .global eng_plane_s8
    .type   eng_plane_s8, @function
eng_plane_s8:
    .irp    reg, 7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r28, r24
    movw    r30, r16
    clr     r7
    ldd     r10, Y+RUN
    ldd     r11, Y+RUN+1
    ldd     r14, Y+ROW
    ldd     r15, Y+ROW+1
    ldd     r16, Y+STEP
    ldd     r17, Y+STEP+1
    ldd     r13, Y+RUNS
    ldd     r12, Y+PITCH
    ldd     r9, Y+IN_H
    ldd     r8, Y+PADDING
    mul     r20, r14
    movw    r24, r0
    mul     r20, r15
    add     r25, r0
    mul     r21, r14
    add     r25, r0
    add     r24, r22
    adc     r25, r23
.Lrow:
    cp      r20, r9
    cpc     r21, r7
    brsh    .Loutside
    movw    r28, r10
    mov     r22, r13
.Lrun:
    ldd     r26, Y+FIRST
    ldd     r27, Y+FIRST+1
    add     r26, r24
    adc     r27, r25
    ldd     r23, Y+LEFT
    tst     r23
    breq    2f
    fill
2:  ldd     r23, Y+INSIDE
    lsr     r23
    brcc    3f
    inc     r23
    rjmp    4f
3:  copy_code
4:  copy_code
    dec     r23
    brne    3b
    ldd     r23, Y+RIGHT
    tst     r23
    breq    5f
    fill
5:  adiw    r28, RUN_SIZE
    dec     r22
    brne    .Lrun
.Lnext:
    add     r24, r14
    adc     r25, r15
    subi    r20, 0xff
    sbci    r21, 0xff
    dec     r18
    brne    .Lrow
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7
    pop     r\reg
    .endr
    clr     r1
    ret
.Loutside:
    mov     r23, r12
    fill
    rjmp    .Lnext
    .size   eng_plane_s8, . - eng_plane_s8
