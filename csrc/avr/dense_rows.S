/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/dense_rows.c for AVRxt (flash is read as data): eng_dense_rows1_s24 ... eng_dense_rows5_s24.
 *
 * A row keeps four registers: a (16 bit, biased by 0x8000) gathers the products of one group, b gathers a's high bytes.
 * A group of k inputs is entered k steps before the end of an unrolled body, so that there is no loop over inputs.
 * Per group of k inputs: 2k + 7kR + 2R + R/2 + 12 cycles (R rows; about 8.1 cycles a product at R = 5, k = 7).
 * Stack: 2 bytes of return address, 18 saved registers, 9 bytes of state.
 *
 * X inputs, Y weights, r31:r30 operands and jump, r25:r24 headers, r23:r22 0x8080, r1:r0 products. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

/* Registers of row \row: high byte of a (neighbours in pairs, for movw), low byte of a, b. */
    .macro  row_registers row
    .set    hi_\row, 2 + 8 * (\row / 2) + \row % 2
    .set    lo_\row, 8 + 8 * (\row / 2) + \row % 2
    .set    b_\row, 4 + 8 * (\row / 2) + 2 * (\row % 2)
    .endm
    row_registers 0
    row_registers 1
    row_registers 2
    row_registers 3
    .set    hi_4, 18
    .set    lo_4, 19
    .set    b_4, 20

    .macro  for_rows rows, do
    .if     \rows > 0
    \do     hi_0, lo_0, b_0
    .endif
    .if     \rows > 1
    \do     hi_1, lo_1, b_1
    .endif
    .if     \rows > 2
    \do     hi_2, lo_2, b_2
    .endif
    .if     \rows > 3
    \do     hi_3, lo_3, b_3
    .endif
    .if     \rows > 4
    \do     hi_4, lo_4, b_4
    .endif
    .endm

    .macro  product hi, lo, b
    ld      r30, Y+
    muls    r30, r31
    add     \lo, r0
    adc     \hi, r1
    .endm

    .macro  fold hi, lo, b
    add     \b, \hi
    adc     \b + 1, r30
    .endm

    .macro  load_start hi, lo, b
    ld      \lo, X+
    ld      \b, X+
    ld      \b + 1, X+
    .endm

    .macro  store_sum hi, lo, b
    st      X+, \lo
    st      X+, \b
    st      X+, \b + 1
    .endm

    .macro  bias_high_bytes rows
    movw    hi_0, r22
    .if     \rows > 2
    movw    hi_2, r22
    .endif
    .if     \rows > 4
    mov     hi_4, r22
    .endif
    .endm

    .macro  step rows
    ld      r31, X+
    for_rows \rows, product
    .endm

/* State on the stack, from SP + 1: blocks left, start, acc, x. */
    .equ    BLOCKS, 1
    .equ    START, 2
    .equ    ACC, 4
    .equ    INPUT, 6

    .macro  dense_rows rows
    .section .text.eng_dense_rows\rows\()_s24, "ax", @progbits
    .global eng_dense_rows\rows\()_s24
    .type   eng_dense_rows\rows\()_s24, @function
eng_dense_rows\rows\()_s24:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    ldd     r28, Z+0
    ldd     r29, Z+1
    ldd     r24, Z+2
    ldd     r25, Z+3
    push    r23
    push    r22
    push    r21
    push    r20
    ldd     r0, Z+5
    push    r0
    ldd     r0, Z+4
    push    r0
    ldd     r0, Z+6
    push    r0
    ldi     r22, 0x80
    ldi     r23, 0x80
1:  in      r30, SPL
    in      r31, SPH
    ldd     r26, Z+START
    ldd     r27, Z+START+1
    for_rows \rows, load_start
    std     Z+START, r26
    std     Z+START+1, r27
    ldd     r26, Z+INPUT
    ldd     r27, Z+INPUT+1
    bias_high_bytes \rows
    rjmp    3f
2:  rjmp    4f
    .rept   12
    step    \rows
    .endr
    ldi     r30, 0
    for_rows \rows, fold
    bias_high_bytes \rows
3:  movw    r30, r24
    adiw    r24, 1
    ld      r30, Z
    ldi     r31, 0
    subi    r30, lo8(-(gs(2b)))
    sbci    r31, hi8(-(gs(2b)))
    ijmp
4:  in      r30, SPL
    in      r31, SPH
    ldd     r26, Z+ACC
    ldd     r27, Z+ACC+1
    for_rows \rows, store_sum
    std     Z+ACC, r26
    std     Z+ACC+1, r27
    ldd     r0, Z+BLOCKS
    dec     r0
    std     Z+BLOCKS, r0
    breq    5f
    rjmp    1b
5:  .rept   7
    pop     r0
    .endr
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_dense_rows\rows\()_s24, . - eng_dense_rows\rows\()_s24
    .endm

    dense_rows 1
    dense_rows 2
    dense_rows 3
    dense_rows 4
    dense_rows 5
