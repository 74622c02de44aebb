/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/dense_bits.c for AVRxt: eng_dense_bits<B>_rows<R>_s24.
 *
 * The rows of a byte share it. Its products with an input are summed as a whole, in three registers, and with the highest field
 * masked away, then the next, in three, or in two once they are below 16: every DEPTH inputs their high bytes are moved to the
 * stack, so that 16 bits hold them.
 *
 * X inputs, Y weights, r22 input, r23 weights, r24 zero, r25 inputs left of a run, r30 base, r31 inputs until the low sums are
 * moved, r1:r0 products. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e
    .equ    DEPTH, 17

    .equ    START, 2
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
/* More in a subroutine. */
    .equ    CALLED, 2

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

    .macro  clear bits, wide, low, moved
    std     Z+\moved, r24
    std     Z+\moved+1, r24
    .if     \bits == 2
    std     Z+\moved+2, r24
    std     Z+\moved+3, r24
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
    move_low \low, CALLED+\moved
    .if     \bits == 2
    move_low (\low + 2), CALLED+\moved+2
    .endif
    .endm

    .macro  store_low sum, moved
    st      X+, \sum
    ldd     r22, Z+\moved
    st      X+, r22
    ldd     r22, Z+\moved+1
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
    ldi     r25, 0
    .irp    reg, 2,4,6,8,10,12,14,16,18,20
    movw    r\reg, r24
    .endr
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
    movw    r22, r26
    ldd     r26, Z+NEXT
    ldd     r27, Z+NEXT+1
    ld      r0, X+
    ld      r1, X+
    std     Z+NEXT, r26
    std     Z+NEXT+1, r27
    movw    r26, r22
    ldd     r30, Z+BASE
    mov     r31, r25
    mov     r25, r1
    add     r26, r0
    adc     r27, r24
    ldi     r23, \rows * \bits / 8
    mul     r23, r0
    add     r28, r0
    adc     r29, r1
2:  input   \bits, \rows
    dec     r31
    breq    4f
3:  dec     r25
    brne    2b
    rjmp    .Lrun\bits\()_\rows
4:  rcall   .Lmove\bits\()_\rows
    rjmp    3b
.Lmove\bits\()_\rows:
    in      r30, SPL
    in      r31, SPH
    for_bytes \bits, \rows, move
    ldd     r30, Z+CALLED+BASE
    ldi     r31, DEPTH
    ret
.Lsums\bits\()_\rows:
    rcall   .Lmove\bits\()_\rows
    in      r30, SPL
    in      r31, SPH
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
    ldd     r28, Z+WEIGHTS
    ldd     r29, Z+WEIGHTS+1
    add     r28, r22
    adc     r29, r23
    std     Z+WEIGHTS, r28
    std     Z+WEIGHTS+1, r29
    ldd     r22, Z+BLOCKS
    dec     r22
    std     Z+BLOCKS, r22
    breq    5f
    rjmp    .Lblock\bits\()_\rows
5:  ldi     r22, \rows * \bits / 8
    jmp     eng_dense_bits\bits\()_end
    .size   eng_dense_bits\bits\()_rows\rows\()_s24, . - eng_dense_bits\bits\()_rows\rows\()_s24
    .endm

/* The end of all of them, with Z at the state and r22 bytes of an input: sums hold, row by row, those of the lowest fields of a
 * byte, of the lowest two, and so on, modulo 2^24, of weights that are ENG_BITS_ZERO too large; they become the sums of the rows.
 *
 * First the sum of the inputs in runs, times ENG_BITS_ZERO, in r18:r17:r16: X inputs, Y runs, r19 base, r23 inputs left in the
 * run, r21 runs left. Then X sums, Z starts, r25:r24 bytes left. */

    .macro  shift_up times, low, middle, high
    ldi     r20, \times
9:  lsl     \low
    rol     \middle
    rol     \high
    dec     r20
    brne    9b
    .endm

    .macro  subtract low, middle, high, low2, middle2, high2
    sub     \low, \low2
    sbc     \middle, \middle2
    sbc     \high, \high2
    .endm

/* Add the start to a row's sum and write it. */
    .macro  write_row low, middle, high
    ld      r0, Z+
    add     \low, r0
    ld      r0, Z+
    adc     \middle, r0
    ld      r0, Z+
    adc     \high, r0
    st      X+, \low
    st      X+, \middle
    st      X+, \high
    .endm

/* r4:r3:r2 and r23:r22:r21 the rows of a byte, r12:r11:r10 what the weights of the higher one are too large by. */
    .macro  bytes4
    movw    r10, r16
    mov     r12, r18
    shift_up 4, r10, r11, r12
4:  .irp    reg, 2,3,4,21,22,23
    ld      r\reg, X+
    .endr
    sbiw    r26, 6
    subtract r21, r22, r23, r2, r3, r4
    subtract r21, r22, r23, r10, r11, r12
    ldi     r20, 4
5:  asr     r23
    ror     r22
    ror     r21
    dec     r20
    brne    5b
    subtract r2, r3, r4, r16, r17, r18
    write_row r2, r3, r4
    write_row r21, r22, r23
    sbiw    r24, 1
    brne    4b
    .endm

/* r23:r22:r21 a row, r12:r11:r10 its byte's fields up to the one below, r15:r14:r13 what its weights are too large by, r19 bits
 * below its field. */
    .macro  bytes2
4:  clr     r10
    clr     r11
    clr     r12
    mov     r13, r16
    mov     r14, r17
    mov     r15, r18
    ldi     r19, 0
5:  ld      r21, X+
    ld      r22, X+
    ld      r23, X
    sbiw    r26, 2
    subtract r21, r22, r23, r10, r11, r12
    add     r10, r21
    adc     r11, r22
    adc     r12, r23
    subtract r21, r22, r23, r13, r14, r15
    mov     r20, r19
    rjmp    7f
6:  asr     r23
    ror     r22
    ror     r21
7:  dec     r20
    brpl    6b
    write_row r21, r22, r23
    shift_up 2, r13, r14, r15
    subi    r19, -2
    cpi     r19, 8
    brne    5b
    sbiw    r24, 1
    brne    4b
    .endm

    .macro  dense_bits_end bits
    .section .text.eng_dense_bits\bits\()_end, "ax", @progbits
    .global eng_dense_bits\bits\()_end
    .type   eng_dense_bits\bits\()_end, @function
eng_dense_bits\bits\()_end:
    ldd     r26, Z+INPUT
    ldd     r27, Z+INPUT+1
    ldd     r28, Z+RUNS
    ldd     r29, Z+RUNS+1
    ldd     r19, Z+BASE
    ldi     r25, 0
    movw    r16, r24
    ldi     r18, 0
    ld      r21, Y+
    rjmp    3f
1:  ld      r0, Y+
    add     r26, r0
    adc     r27, r24
    ld      r23, Y+
2:  ld      r0, X+
    sub     r0, r19
    add     r16, r0
    adc     r17, r24
    adc     r18, r24
    dec     r23
    brne    2b
3:  subi    r21, 1
    brcc    1b
    shift_up (\bits - 1), r16, r17, r18
    ldd     r26, Z+FIRST_SUM
    ldd     r27, Z+FIRST_SUM+1
    ldd     r28, Z+PARAMS
    ldd     r29, Z+PARAMS+1
    ldd     r23, Y+BLOCK_COUNT
    mul     r23, r22
    movw    r24, r0
    ldd     r30, Y+START
    ldd     r31, Y+START+1
    bytes\bits
    in      r28, SPL
    in      r29, SPH
    adiw    r28, FRAME
    out     SPL, r28       /* first: no interrupt comes between this and the next */
    out     SPH, r29
    clr     r1
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    ret
    .size   eng_dense_bits\bits\()_end, . - eng_dense_bits\bits\()_end
    .endm

    dense_bits 4, 4
    dense_bits 4, 8
    dense_bits_end 4
    dense_bits 2, 4
    dense_bits 2, 8
    dense_bits_end 2
