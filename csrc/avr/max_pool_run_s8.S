/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/max_pool_run_s8.c, at most 2^15 columns. The channels of two taps of a row are compared at once, with what the taps
 * before gave; the last tap of an odd row is compared with itself.
 *
 * X, Z the two taps, Y results; r3:r2 row of taps, r5:r4 window, r7:r6 column, r9:r8 next two taps, r11:r10 record, r12, r13
 * channels, r15:r14 positions left, r16 lo, r17 hi, r19:r18 rows left, r21:r20 results, r22, r23 channels left, r25:r24 columns
 * left; the T flag is set while a position has no result. */

#include "pool_run.inc"

    /* r0 = the larger of both */
    .macro  larger other
    cp      r0, \other
    brge    .+2
    mov     r0, \other
    .endm

    .macro  each_channel
    dec     r22
    brne    1b
    dec     r23
    brne    1b
    .endm

    .section .text.eng_max_pool_run_s8, "ax", @progbits
    .global eng_max_pool_run_s8
    .type   eng_max_pool_run_s8, @function
eng_max_pool_run_s8:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r10, r24
    movw    r20, r22
    movw    r30, r24
    load_word 4, 5, X_AT
    load_word 6, 7, COLUMN
    load_word 12, 13, CHANNELS
    load_word 14, 15, POSITIONS
    load    16, LO
    load    17, HI
    cpse    r12, r1
    inc     r13
.Lposition:
    movw    r30, r10
    load_word 18, 19, ROWS
    movw    r2, r4
    set
.Lrow:
    movw    r30, r10
    load_word 24, 25, COLUMNS
    movw    r26, r2
.Lpair:
    movw    r30, r26
    sbiw    r24, 2
    brmi    2f
    add     r30, r6
    adc     r31, r7
    movw    r8, r30
    add     r8, r6
    adc     r9, r7
2:  movw    r28, r20
    movw    r22, r12
    brtc    .Lmore
    clt
1:  ld      r0, X+
    ld      r1, Z+
    larger  r1
    larger  r16
    st      Y+, r0
    each_channel
    rjmp    .Lcompared
.Lmore:
1:  ld      r0, X+
    ld      r1, Z+
    larger  r1
    ld      r1, Y
    larger  r1
    st      Y+, r0
    each_channel
.Lcompared:
    movw    r26, r8
    cpi     r24, 1
    cpc     r25, r22
    brge    .Lpair
    movw    r30, r10
    load_word 26, 27, ROW
    add     r2, r26
    adc     r3, r27
    subi    r18, 1
    sbci    r19, 0
    brne    .Lrow
    cpi     r17, 127
    breq    3f
    movw    r26, r20
    movw    r22, r12
1:  ld      r0, X
    cp      r17, r0
    brge    .+2
    mov     r0, r17
    st      X+, r0
    each_channel
3:  movw    r20, r28
    movw    r30, r10
    load_word 26, 27, POSITION
    add     r4, r26
    adc     r5, r27
    movw    r26, r14
    sbiw    r26, 1
    movw    r14, r26
    breq    4f
    rjmp    .Lposition
4:  .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_max_pool_run_s8, . - eng_max_pool_run_s8
