/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/average_pool_run_s8.c, count < 2^15. Codes are summed as code + 128, from half on. The same cycles for all codes.
 *
 * X taps, Y results, Z record; r3:r2 column, r5:r4 from behind a row of taps to the next, r7:r6 pairs of columns, r9:r8 rows,
 * r11:r10 end of the window's channels, r13:r12 positions left, r14 how to divide (negative: bit by bit; 0: a power of two),
 * r17:r16 pairs left, r20:r18 sum, r23:r22 rows left, then r23 the quotient, r25:r24 first tap; the T flag is set if columns are
 * odd. */

#include "pool_run.inc"

    .macro  tap
    ld      r21, X
    add     r26, r2
    adc     r27, r3
    subi    r21, 0x80
    add     r18, r21
    adc     r19, r1
    adc     r20, r1
    .endm

    .section .text.eng_average_pool_run_s8, "ax", @progbits
    .global eng_average_pool_run_s8
    .type   eng_average_pool_run_s8, @function
eng_average_pool_run_s8:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r28, r22
    load_word 24, 25, X_AT
    load_word 2, 3, COLUMN
    load_word 4, 5, ROW
    load_word 16, 17, COLUMNS
    load_word 8, 9, ROWS
    load_word 12, 13, POSITIONS
    mul     r16, r2
    sub     r4, r0
    sbc     r5, r1
    mul     r17, r2
    sub     r5, r0
    mul     r16, r3
    sub     r5, r0
    clr     r1
    bst     r16, 0
    subi    r16, 0xff
    sbci    r17, 0xff
    lsr     r17
    ror     r16
    movw    r6, r16
    load_word 18, 19, MULT
    load    20, MULT+2
    or      r18, r19
    or      r20, r18
    brne    1f
    ldi     r18, 0x80
    rjmp    2f
1:  cpse    r18, r1
    ldi     r18, 1
2:  mov     r14, r18
.Lposition:
    load_word 10, 11, CHANNELS
    add     r10, r24
    adc     r11, r25
.Lchannel:
    movw    r26, r24
    movw    r22, r8
    load_word 18, 19, HALF
    ldi     r20, 0
.Lrow:
    movw    r16, r6
    brts    2f
1:  tap
2:  tap
    subi    r16, 1
    sbci    r17, 0
    brne    1b
    add     r26, r4
    adc     r27, r5
    subi    r22, 1
    sbci    r23, 0
    brne    .Lrow
    load    21, BELOW
    cp      r18, r21
    load    21, BELOW+1
    cpc     r19, r21
    load    21, BELOW+2
    cpc     r20, r21
    sbc     r18, r1
    sbc     r19, r1
    sbc     r20, r1
    load    21, MULT+2
    tst     r14
    brmi    .Ldivide
    brne    .Lproduct
    mul     r18, r21
    mov     r23, r1
    mul     r19, r21
    add     r23, r0
    rjmp    .Lcode
.Lproduct:
    load    20, MULT
    load    15, MULT+1
    mul     r18, r20
    mov     r16, r1
    mul     r18, r21
    movw    r22, r0
    mul     r19, r21
    add     r23, r0
    mul     r18, r15
    add     r16, r0
    adc     r22, r1
    adc     r23, r17
    mul     r19, r20
    add     r16, r0
    adc     r22, r1
    adc     r23, r17
    mul     r19, r15
    add     r22, r0
    adc     r23, r1
    rjmp    .Lcode
.Lsame:
    rjmp    6f
.Ldivide:
    load_word 16, 17, COUNT
    ldi     r22, 8
5:  lsl     r18
    rol     r19
    rol     r20
    cp      r19, r16
    cpc     r20, r17
    brcs    .Lsame
    sub     r19, r16
    sbc     r20, r17
    inc     r18
6:  dec     r22
    brne    5b
    mov     r23, r18
.Lcode:
    clr     r1
    subi    r23, 0x80
    load    21, LO
    cp      r23, r21
    brge    .+2
    mov     r23, r21
    load    21, HI
    cp      r21, r23
    brge    .+2
    mov     r23, r21
    st      Y+, r23
    adiw    r24, 1
    cp      r24, r10
    cpc     r25, r11
    breq    3f
    rjmp    .Lchannel
3:  load_word 26, 27, POSITION
    add     r24, r26
    adc     r25, r27
    load_word 26, 27, CHANNELS
    sub     r24, r26
    sbc     r25, r27
    movw    r26, r12
    sbiw    r26, 1
    movw    r12, r26
    breq    4f
    rjmp    .Lposition
4:  .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    ret
    .size   eng_average_pool_run_s8, . - eng_average_pool_run_s8
