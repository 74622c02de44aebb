/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/dense_bits.c for AVRxt: eng_dense_bits<B>_rows<R>_s24.
 *
 * The rows of a byte share it. Its products with an input are summed as a whole, in three registers, and with the highest field
 * masked away, then the next, in three, or in two once they are below 16: every DEPTH inputs their high bytes are moved to the
 * stack, so that 16 bits hold them.
 *
 * X inputs, Y weights, r22 input, r23 weights, r24 zero, r25 inputs left of a part of a run, r30 base, r31 inputs until the low
 * sums are moved, r1:r0 products. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e
    .equ    SREG, 0x3f
    .equ    DEPTH, 17

    .equ    IN, 4
    .equ    BLOCK_COUNT, 6
    .equ    BASE_AT, 7

/* State on the stack, from SP + 1. */
    .equ    MOVED, 1
    .equ    LEFT, 9
    .equ    NEXT, 10
    .equ    BASE, 12
    .equ    BLOCKS, 13
    .equ    WEIGHTS, 14
    .equ    RUNS, 16
    .equ    INPUT, 18
    .equ    SUM, 20
    .equ    FIRST_SUM, 22
    .equ    PARAMS, 24
    .equ    FRAME, 25

/* Do \do with bits and, for each byte of an input, its first registers of wide and of low sums and the place of its moved bytes. */
    .macro  for_bytes bits, rows, do
    .if     \bits == 4
    \do     4, 2, 14, MOVED
    \do     4, 5, 16, MOVED+2
    .if     \rows > 4
    \do     4, 8, 18, MOVED+4
    \do     4, 11, 20, MOVED+6
    .endif
    .else
    \do     2, 2, 14, MOVED
    .if     \rows > 4
    \do     2, 8, 18, MOVED+4
    .endif
    .endif
    .endm

    .macro  add_wide sum
    mul     r23, r22
    add     \sum, r0
    adc     \sum + 1, r1
    adc     \sum + 2, r24
    .endm

    .macro  add_low mask, sum
    andi    r23, \mask
    mul     r23, r22
    add     \sum, r0
    adc     \sum + 1, r1
    .endm

    .macro  products bits, wide, low, moved
    ld      r23, Y+
    add_wide \wide
    .if     \bits == 2
    andi    r23, 63
    add_wide (\wide + 3)
    .endif
    add_low 15, \low
    .if     \bits == 2
    add_low 3, (\low + 2)
    .endif
    .endm

    .macro  input bits, rows
    ld      r22, X+
    sub     r22, r30
    for_bytes \bits, \rows, products
    .endm

    .macro  clear_wide sum
    mov     \sum, r24
    mov     \sum + 1, r24
    mov     \sum + 2, r24
    .endm

    .macro  clear_low sum, moved
    mov     \sum, r24
    mov     \sum + 1, r24
    std     Z+\moved, r24
    std     Z+\moved+1, r24
    .endm

    .macro  clear bits, wide, low, moved
    clear_wide \wide
    clear_low \low, \moved
    .if     \bits == 2
    clear_wide (\wide + 3)
    clear_low (\low + 2), \moved+2
    .endif
    .endm

    .macro  move_low sum, moved
    ldd     r22, Z+\moved
    add     r22, \sum + 1
    std     Z+\moved, r22
    ldd     r22, Z+\moved+1
    adc     r22, r24
    std     Z+\moved+1, r22
    mov     \sum + 1, r24
    .endm

    .macro  move bits, wide, low, moved
    move_low \low, \moved
    .if     \bits == 2
    move_low (\low + 2), \moved+2
    .endif
    .endm

    .macro  store_low sum, moved
    st      X+, \sum
    ldd     r22, Z+\moved
    add     r22, \sum + 1
    st      X+, r22
    ldd     r22, Z+\moved+1
    adc     r22, r24
    st      X+, r22
    .endm

    .macro  store_wide sum
    st      X+, \sum
    st      X+, \sum + 1
    st      X+, \sum + 2
    .endm

    .macro  store bits, wide, low, moved
    .if     \bits == 2
    store_low (\low + 2), \moved+2
    .endif
    store_low \low, \moved
    .if     \bits == 2
    store_wide (\wide + 3)
    .endif
    store_wide \wide
    .endm

    .macro  push_word low
    push    \low + 1
    push    \low
    .endm

    .macro  dense_bits bits, rows
    .section .text.eng_dense_bits\bits\()_rows\rows\()_s24, "ax", @progbits
    .global eng_dense_bits\bits\()_rows\rows\()_s24
    .type   eng_dense_bits\bits\()_rows\rows\()_s24, @function
eng_dense_bits\bits\()_rows\rows\()_s24:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    push_word 24
    push_word 18
    push_word 18
    push_word 22
    push_word 20
    ldd     r28, Z+0
    ldd     r29, Z+1
    push_word 28
    ldd     r0, Z+BLOCK_COUNT
    push    r0
    ldd     r0, Z+BASE_AT
    push    r0
    push    r0
    .rept   5
    rcall   .
    .endr
    ldi     r24, 0
.Lblock\bits\()_\rows:
    in      r30, SPL
    in      r31, SPH
    ldd     r28, Z+WEIGHTS
    ldd     r29, Z+WEIGHTS+1
    ldd     r26, Z+RUNS
    ldd     r27, Z+RUNS+1
    ld      r0, X+
    std     Z+LEFT, r0
    std     Z+NEXT, r26
    std     Z+NEXT+1, r27
    ldd     r26, Z+INPUT
    ldd     r27, Z+INPUT+1
    for_bytes \bits, \rows, clear
    ldi     r31, DEPTH
.Lrun\bits\()_\rows:
    mov     r25, r31
    in      r30, SPL
    in      r31, SPH
    ldd     r22, Z+LEFT
    subi    r22, 1
    brcc    1f
    rjmp    .Lsums\bits\()_\rows
1:  std     Z+LEFT, r22
    ldd     r22, Z+NEXT
    ldd     r23, Z+NEXT+1
    movw    r30, r22
    ld      r0, Z+
    ld      r1, Z+
    movw    r22, r30
    in      r30, SPL
    in      r31, SPH
    std     Z+NEXT, r22
    std     Z+NEXT+1, r23
    ldd     r30, Z+BASE
    mov     r31, r25
    mov     r25, r1
    add     r26, r0
    adc     r27, r24
    ldi     r23, \rows * \bits / 8
    mul     r23, r0
    add     r28, r0
    adc     r29, r1
.Lpart\bits\()_\rows:
    sub     r31, r25
    brcs    2f
    push    r24
    rjmp    3f
2:  add     r31, r25
    sub     r25, r31
    push    r25
    mov     r25, r31
    ldi     r31, 0
3:  lsr     r25
    brcc    4f
    inc     r25
    rjmp    5f
4:  input   \bits, \rows
5:  input   \bits, \rows
    dec     r25
    breq    6f
    rjmp    4b
6:  pop     r25
    cpse    r31, r24
    rjmp    7f
    in      r30, SPL
    in      r31, SPH
    for_bytes \bits, \rows, move
    ldd     r30, Z+BASE
    ldi     r31, DEPTH
7:  cpse    r25, r24
    rjmp    .Lpart\bits\()_\rows
    rjmp    .Lrun\bits\()_\rows
.Lsums\bits\()_\rows:
    ldd     r26, Z+SUM
    ldd     r27, Z+SUM+1
    for_bytes \bits, \rows, store
    std     Z+SUM, r26
    std     Z+SUM+1, r27
    ldd     r26, Z+PARAMS
    ldd     r27, Z+PARAMS+1
    adiw    r26, IN
    ld      r22, X+
    ld      r23, X+
    .if     \rows * \bits / 8 > 1
    lsl     r22
    rol     r23
    .endif
    .if     \rows * \bits / 8 > 2
    lsl     r22
    rol     r23
    .endif
    ldd     r26, Z+WEIGHTS
    ldd     r27, Z+WEIGHTS+1
    add     r26, r22
    adc     r27, r23
    std     Z+WEIGHTS, r26
    std     Z+WEIGHTS+1, r27
    ldd     r22, Z+BLOCKS
    dec     r22
    std     Z+BLOCKS, r22
    breq    8f
    rjmp    .Lblock\bits\()_\rows
8:  ldd     r24, Z+INPUT
    ldd     r25, Z+INPUT+1
    ldd     r22, Z+BASE
    ldd     r20, Z+RUNS
    ldd     r21, Z+RUNS+1
    clr     r1
    call    eng_runs_sum_u24
    movw    r16, r22
    movw    r18, r24
    in      r30, SPL
    in      r31, SPH
    ldd     r14, Z+FIRST_SUM
    ldd     r15, Z+FIRST_SUM+1
    ldd     r24, Z+PARAMS
    ldd     r25, Z+PARAMS+1
    ldi     r22, \rows
    ldi     r20, \bits
    call    eng_fields_s24
    in      r28, SPL
    in      r29, SPH
    adiw    r28, FRAME
    in      r0, SREG
    cli
    out     SPH, r29
    out     SREG, r0
    out     SPL, r28
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    ret
    .size   eng_dense_bits\bits\()_rows\rows\()_s24, . - eng_dense_bits\bits\()_rows\rows\()_s24
    .endm

    dense_bits 4, 4
    dense_bits 4, 8
    dense_bits 2, 4
    dense_bits 2, 8
