/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/depthwise_s24.c. Neighbouring positions have an accumulator of three bytes each; a weight is loaded once for all of
 * them. MULS leaves the sign of its product in the carry.
 *
 * Y taps, X distances, Z filter, r24 weight, r25 code, r23 zero. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

    .equ    DISTANCE, 0
    .equ    ROW_STEP, 2
    .equ    OUT_W, 4

/* State on the stack, from SP + 1: where the group of positions begins in the plane, and in the sums; groups left in the row, rows
 * left; filter, distances; from behind a row's last group to the next row, in the plane and back in the sums; groups of a row. */
    .equ    PLANE, 1
    .equ    SUM, 3
    .equ    LEFT, 5
    .equ    ROWS, 6
    .equ    FILTER, 7
    .equ    DISTANCES, 9
    .equ    NEXT, 11
    .equ    BACK, 13
    .equ    GROUPS, 14
    .equ    STATE, 14

    .macro  load_flash reg
    ld      \reg, Z+
    .endm

/* Do \do with the number and the registers of each position. */
    .macro  for_positions n, do
    .if     \n == 7
    \do     0, r2, r3, r16
    \do     1, r4, r5, r17
    \do     2, r6, r7, r18
    \do     3, r8, r9, r19
    \do     4, r10, r11, r20
    \do     5, r12, r13, r21
    \do     6, r14, r15, r22
    .else
    \do     0, r2, r3, r10
    \do     1, r4, r5, r11
    \do     2, r6, r7, r12
    \do     3, r8, r9, r13
    .endif
    .endm

    .macro  start at, low, mid, high
    .if     \at == 0
    load_flash \low
    load_flash \mid
    load_flash \high
    mov     r24, \high
    .else
    movw    \low, r2
    mov     \high, r24
    .endif
    .endm

    .macro  product at, low, mid, high
    ldd     r25, Y+\at
    muls    r24, r25
    sbc     \high, r23
    add     \low, r0
    adc     \mid, r1
    adc     \high, r23
    .endm

    .macro  store at, low, mid, high
    st      X+, \low
    st      X+, \mid
    st      X+, \high
    .endm

    .macro  function n
    .section .text.eng_depthwise\n\()_s24, "ax", @progbits
    .global eng_depthwise\n\()_s24
    .type   eng_depthwise\n\()_s24, @function
eng_depthwise\n\()_s24:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13
    push    r\reg
    .endr
    .if     \n == 7
    .irp    reg, 14,15,16,17
    push    r\reg
    .endr
    .endif
    push    r28
    push    r29
    movw    r30, r24
    ldd     r26, Z+OUT_W
    clr     r27
1:  inc     r27
    subi    r26, \n
    breq    2f
    brcc    1b
2:  push    r27
    mov     r0, r26
    lsl     r26
    add     r26, r0
    neg     r26
    push    r26
    ldd     r24, Z+ROW_STEP
    ldd     r25, Z+ROW_STEP+1
    ldi     r26, \n
    mul     r27, r26
    sub     r24, r0
    sbc     r25, r1
    push    r25
    push    r24
    ldd     r24, Z+DISTANCE
    ldd     r25, Z+DISTANCE+1
    .irp    reg, 25,24,23,22,16,27,19,18,21,20
    push    r\reg
    .endr
    clr     r23
3:  in      r28, SPL
    in      r29, SPH
    ldd     r30, Y+FILTER
    ldd     r31, Y+FILTER+1
    ldd     r26, Y+DISTANCES
    ldd     r27, Y+DISTANCES+1
    ldd     r24, Y+PLANE
    ldd     r25, Y+PLANE+1
    movw    r28, r24
    for_positions \n, start
4:  load_flash r24
    for_positions \n, product
    ld      r25, X+
    add     r28, r25
    adc     r29, r23
    tst     r25
    brne    4b
    in      r30, SPL
    in      r31, SPH
    ldd     r26, Z+SUM
    ldd     r27, Z+SUM+1
    for_positions \n, store
    ldd     r24, Z+PLANE
    ldd     r25, Z+PLANE+1
    adiw    r24, \n
    ldd     r28, Z+LEFT
    dec     r28
    breq    6f
5:  std     Z+LEFT, r28
    std     Z+PLANE, r24
    std     Z+PLANE+1, r25
    std     Z+SUM, r26
    std     Z+SUM+1, r27
    rjmp    3b
6:  ldd     r28, Z+ROWS
    dec     r28
    breq    7f
    std     Z+ROWS, r28
    ldd     r28, Z+NEXT
    ldd     r29, Z+NEXT+1
    add     r24, r28
    adc     r25, r29
    ldd     r28, Z+BACK
    sub     r26, r28
    sbc     r27, r23
    ldd     r28, Z+GROUPS
    rjmp    5b
7:  .rept   STATE
    pop     r0
    .endr
    pop     r29
    pop     r28
    .if     \n == 7
    .irp    reg, 17,16,15,14
    pop     r\reg
    .endr
    .endif
    .irp    reg, 13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_depthwise\n\()_s24, . - eng_depthwise\n\()_s24
    .endm

    function 4
    function 7
