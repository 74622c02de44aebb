/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/dense_moved.c for AVRxt: eng_dense_moved3_s24 ... eng_dense_moved5_s24.
 *
 * A row keeps the 24 bits of its sum in registers. The magnitude of a difference from rest is multiplied, and the product added or
 * subtracted; MULSU leaves its sign in the carry.
 *
 * X inputs, Y weights, Z codes at rest, r16 weight, r17 difference, r19 cells left, r20 inputs left of the cell, r21 period, r13
 * bytes of a cell's weights, r23:r22 codes at rest, r25 zero, r1:r0 products. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e
    .equ    SREG, 0x3f

    .equ    W, 0
    .equ    START_AT, 4
    .equ    BLOCK_COUNT, 6
    .equ    INPUTS, 7
    .equ    REST, 0
    .equ    PERIOD, 2

/* Do \do with the three bytes of each row. */
    .macro  for_rows rows, do
    \do     r2, r3, r12
    \do     r4, r5, r14
    \do     r6, r7, r15
    .if     \rows > 3
    \do     r8, r9, r18
    .endif
    .if     \rows > 4
    \do     r10, r11, r24
    .endif
    .endm

    .macro  plus low, mid, high
    ld      r16, Y+
    mulsu   r16, r17
    sbc     \high, r25
    add     \low, r0
    adc     \mid, r1
    adc     \high, r25
    .endm

    .macro  minus low, mid, high
    ld      r16, Y+
    mulsu   r16, r17
    adc     \high, r25
    sub     \low, r0
    sbc     \mid, r1
    sbc     \high, r25
    .endm

    .macro  load_start low, mid, high
    ld      \low, X+
    ld      \mid, X+
    ld      \high, X+
    .endm

    .macro  store_sum low, mid, high
    st      X+, \low
    st      X+, \mid
    st      X+, \high
    .endm

/* State on the stack, from SP + 1. */
    .equ    RUN, 1
    .equ    RUNS, 3
    .equ    BLOCKS, 4
    .equ    START, 5
    .equ    SUM, 7
    .equ    INPUT, 9
    .equ    BLOCK, 11
    .equ    STRIDE, 13
    .equ    TABLE, 15
    .equ    STATE, 16

    .macro  push_word low
    push    \low + 1
    push    \low
    .endm

    .macro  dense_moved rows
    .section .text.eng_dense_moved\rows\()_s24, "ax", @progbits
    .global eng_dense_moved\rows\()_s24
    .type   eng_dense_moved\rows\()_s24, @function
eng_dense_moved\rows\()_s24:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r22
    push_word 18
    ldd     r25, Z+INPUTS+1
    ldd     r24, Z+INPUTS
    ldi     r19, \rows
    mul     r25, r19
    mov     r25, r0
    mul     r24, r19
    add     r25, r1
    push    r25
    push    r0
    ldd     r24, Z+W
    ldd     r25, Z+W+1
    push_word 24
    push_word 20
    push_word 16
    ldd     r24, Z+START_AT
    ldd     r25, Z+START_AT+1
    push_word 24
    ldd     r24, Z+BLOCK_COUNT
    push    r24
    .rept   3
    push    r0
    .endr
    ld      r22, X+
    ld      r23, X+
    ld      r21, X
    ldi     r16, \rows
    mul     r21, r16
    mov     r13, r0
    ldi     r25, 0
.Lblock_\rows:
    in      r30, SPL
    in      r31, SPH
    ldd     r26, Z+START
    ldd     r27, Z+START+1
    for_rows \rows, load_start
    std     Z+START, r26
    std     Z+START+1, r27
    ldd     r26, Z+INPUT
    ldd     r27, Z+INPUT+1
    ldd     r28, Z+BLOCK
    ldd     r29, Z+BLOCK+1
    ldd     r16, Z+TABLE
    ldd     r17, Z+TABLE+1
    movw    r0, r30
    movw    r30, r16
    ld      r20, Z+
    movw    r16, r30
    movw    r30, r0
    std     Z+RUN, r16
    std     Z+RUN+1, r17
    std     Z+RUNS, r20
    tst     r20
    brne    .Lrun_\rows
    rjmp    .Lstored_\rows
.Lrun_\rows:
    ldd     r16, Z+RUN
    ldd     r17, Z+RUN+1
    movw    r0, r30
    movw    r30, r16
    ld      r20, Z+
    ld      r19, Z+
    movw    r16, r30
    movw    r30, r0
    std     Z+RUN, r16
    std     Z+RUN+1, r17
    mul     r20, r21
    add     r26, r0
    adc     r27, r1
    mul     r20, r13
    add     r28, r0
    adc     r29, r1
.Lcell_\rows:
    movw    r30, r22
    mov     r20, r21
.Linput_\rows:
    ld      r17, X+
    ld      r0, Z+
    sub     r17, r0
    breq    .Lrests_\rows
    brlt    .Lless_\rows
    for_rows \rows, plus
.Lnext_\rows:
    dec     r20
    brne    .Linput_\rows
    dec     r19
    brne    .Lcell_\rows
    in      r30, SPL
    in      r31, SPH
    ldd     r16, Z+RUNS
    dec     r16
    std     Z+RUNS, r16
    breq    .Lstored_\rows
    rjmp    .Lrun_\rows
.Lrests_\rows:
    adiw    r28, \rows
    rjmp    .Lnext_\rows
.Lless_\rows:
    neg     r17
    for_rows \rows, minus
    rjmp    .Lnext_\rows
.Lstored_\rows:
    ldd     r26, Z+SUM
    ldd     r27, Z+SUM+1
    for_rows \rows, store_sum
    std     Z+SUM, r26
    std     Z+SUM+1, r27
    ldd     r26, Z+BLOCK
    ldd     r27, Z+BLOCK+1
    ldd     r16, Z+STRIDE
    ldd     r17, Z+STRIDE+1
    add     r26, r16
    adc     r27, r17
    std     Z+BLOCK, r26
    std     Z+BLOCK+1, r27
    ldd     r16, Z+BLOCKS
    dec     r16
    std     Z+BLOCKS, r16
    breq    1f
    rjmp    .Lblock_\rows
1:  in      r28, SPL
    in      r29, SPH
    adiw    r28, STATE
    in      r0, SREG
    cli
    out     SPH, r29
    out     SREG, r0
    out     SPL, r28
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_dense_moved\rows\()_s24, . - eng_dense_moved\rows\()_s24
    .endm

    dense_moved 3
    dense_moved 4
    dense_moved 5
