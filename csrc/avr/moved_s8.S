/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/moved_s8.c. The codes at rest of a short cell lie in registers, the last in r15.
 *
 * X inputs, Y table, Z codes at rest, or where a short cell's comparisons begin; r25:r24 where the codes at rest start, or a short
 * cell, r23:r22 start of the table, r18 cells left, r19 period, r20 limit, r21 runs left, r17 gap, r16 length, r1:r0 codes compared;
 * the period's rest in r14. The T flag is set if cells are short. */

    .equ    REST, 0
    .equ    PERIOD, 2
    .equ    CELLS, 3
    .equ    CAPACITY, 4
    .equ    LIMIT, 5
    .equ    SHORT, 14

    .macro  compare reg
    ld      r0, X+
    cp      r0, r\reg
    brne    .Ldiffers
    .endm

    .section .text.eng_moved_s8, "ax", @progbits
    .global eng_moved_s8
    .type   eng_moved_s8, @function
eng_moved_s8:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r22
    movw    r22, r20
    movw    r28, r20
    adiw    r28, 1
    ldd     r24, Z+REST
    ldd     r25, Z+REST+1
    ldd     r19, Z+PERIOD
    ldd     r18, Z+CELLS
    ldd     r21, Z+CAPACITY
    ldd     r20, Z+LIMIT
    clr     r17
    clr     r16
    clt
    cpi     r19, SHORT + 1
    brlo    .Lshort
.Lcell:
    movw    r30, r24
    mov     r14, r19
1:  ld      r0, X+
    ld      r1, Z+
    cp      r0, r1
    brne    .Lmoved
    dec     r14
    brne    1b
    tst     r16
    breq    2f
    clr     r16
    clr     r17
2:  inc     r17
.Lnext:
    dec     r18
    breq    .Lfound
    brtc    .Lcell
    movw    r24, r26
    ijmp
.Lfound:
    movw    r26, r22
    sub     r28, r22
    lsr     r28
    st      X, r28
    ldi     r24, 1
    rjmp    .Lreturn
.Lgive_up:
    ldi     r24, 0
.Lreturn:
    clr     r1
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    ret
.Lmoved:
    dec     r14
    clr     r1
    add     r26, r14
    adc     r27, r1
.Lcount:
    subi    r20, 1
    brcs    .Lgive_up
    inc     r16
    cpi     r16, 1
    breq    .Lopen
    sbiw    r28, 1
    st      Y+, r16
    rjmp    .Lnext
.Lopen:
    subi    r21, 1
    brcs    .Lgive_up
    st      Y+, r17
    st      Y+, r16
    rjmp    .Lnext
.Lshort:
    movw    r28, r24
    ldi     r24, SHORT
    sub     r24, r19
    ldi     r30, pm_lo8(.Lload)
    ldi     r31, pm_hi8(.Lload)
    add     r30, r24
    adc     r31, r1
    ijmp
.Lload:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15
    ld      r\reg, Y+
    .endr
    movw    r28, r22
    adiw    r28, 1
    ldi     r25, 3
    mul     r24, r25
    ldi     r30, pm_lo8(.Lcompare)
    ldi     r31, pm_hi8(.Lcompare)
    add     r30, r0
    adc     r31, r1
    clr     r1
    set
    movw    r24, r26
    ijmp
.Lclose:
    clr     r16
    clr     r17
    rjmp    4f
.Lcompare:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15
    compare \reg
    .endr
    tst     r16
    brne    .Lclose
4:  inc     r17
    dec     r18
    breq    5f
    movw    r24, r26
    ijmp
5:  rjmp    .Lfound
.Ldiffers:
    movw    r26, r24
    add     r26, r19
    adc     r27, r1
    rjmp    .Lcount
    .size   eng_moved_s8, . - eng_moved_s8
