/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/dense_runs.c for AVRxt: eng_dense_runs1_s24 ... eng_dense_runs5_s24.
 *
 * A row's sum is a2 * 2^15 + (a1:a0 as a signed number). A product that overflows a1:a0 moves 2^15 between the two, which also
 * brings a1:a0 back to the middle of its range; |sum| < 2^22 keeps a2 within a byte.
 * Stack: 2 bytes of return address, 18 saved registers, 13 bytes of state.
 *
 * X inputs, Y weights, Z runs, r16 weight, r17 input, r18 0x80, r19 zero_x, r20 zero, r21 inputs left in the run,
 * r22 runs left, r24 scratch. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

    .macro  row_registers row, low, middle, high
    .set    lo_\row, \low
    .set    mid_\row, \middle
    .set    hi_\row, \high
    .endm
    row_registers 0, 2, 3, 4
    row_registers 1, 5, 6, 7
    row_registers 2, 8, 9, 10
    row_registers 3, 11, 12, 13
    row_registers 4, 14, 15, 23

    .macro  for_rows rows, do
    \do     \rows, 0, lo_0, mid_0, hi_0
    .if     \rows > 1
    \do     \rows, 1, lo_1, mid_1, hi_1
    .endif
    .if     \rows > 2
    \do     \rows, 2, lo_2, mid_2, hi_2
    .endif
    .if     \rows > 3
    \do     \rows, 3, lo_3, mid_3, hi_3
    .endif
    .if     \rows > 4
    \do     \rows, 4, lo_4, mid_4, hi_4
    .endif
    .endm

    .macro  product rows, row, lo, mid, hi
    ld      r16, Y+
    mulsu   r16, r17
    add     \lo, r0
    adc     \mid, r1
    brvs    .Loverflow\rows\()_\row
.Lback\rows\()_\row:
    .endm

    .macro  overflow rows, row, lo, mid, hi
.Loverflow\rows\()_\row:
    sbrc    \mid, 7
    inc     \hi
    sbrs    \mid, 7
    dec     \hi
    add     \mid, r18
    rjmp    .Lback\rows\()_\row
    .endm

    .macro  load_start rows, row, lo, mid, hi
    ld      \lo, X+
    ld      \mid, X+
    ld      \hi, X+
    mov     r24, \mid
    lsl     r24
    adc     \hi, r20
    lsl     \hi
    .endm

    .macro  store_sum rows, row, lo, mid, hi
    mov     r24, \mid
    lsl     r24
    sbc     r24, r24
    asr     \hi
    brcc    1f
    add     \mid, r18
    adc     r24, r20
1:  add     r24, \hi
    st      X+, \lo
    st      X+, \mid
    st      X+, r24
    .endm

/* State on the stack, from SP + 1. BLOCK is where the block's weights start, STRIDE the bytes of a block. */
    .equ    BLOCKS, 1
    .equ    START, 2
    .equ    SUM, 4
    .equ    INPUT, 6
    .equ    RUNS, 8
    .equ    BLOCK, 10
    .equ    STRIDE, 12

    .macro  push_word low
    push    \low + 1
    push    \low
    .endm

    .macro  dense_runs rows
    .section .text.eng_dense_runs\rows\()_s24, "ax", @progbits
    .global eng_dense_runs\rows\()_s24
    .type   eng_dense_runs\rows\()_s24, @function
eng_dense_runs\rows\()_s24:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    ldd     r25, Z+8
    ldd     r24, Z+7
    ldi     r21, \rows
    mul     r25, r21
    mov     r25, r0
    mul     r24, r21
    add     r25, r1
    push    r25
    push    r0
    ldd     r0, Z+1
    push    r0
    ldd     r0, Z+0
    push    r0
    push_word 18
    push_word 22
    push_word 16
    ldd     r0, Z+5
    push    r0
    ldd     r0, Z+4
    push    r0
    ldd     r0, Z+6
    push    r0
    mov     r19, r20
    ldi     r18, 0x80
    ldi     r20, 0
2:  in      r30, SPL
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
    ldd     r0, Z+RUNS
    ldd     r31, Z+RUNS+1
    mov     r30, r0
    ld      r22, Z+
    tst     r22
    brne    3f
    rjmp    5f
    for_rows \rows, overflow
3:  ld      r24, Z+
    add     r26, r24
    adc     r27, r20
    ldi     r25, \rows
    mul     r24, r25
    add     r28, r0
    adc     r29, r1
    ld      r21, Z+
4:  ld      r17, X+
    sub     r17, r19
    for_rows \rows, product
    dec     r21
    brne    4b
    dec     r22
    brne    3b
5:  in      r30, SPL
    in      r31, SPH
    ldd     r26, Z+SUM
    ldd     r27, Z+SUM+1
    for_rows \rows, store_sum
    std     Z+SUM, r26
    std     Z+SUM+1, r27
    ldd     r28, Z+BLOCK
    ldd     r29, Z+BLOCK+1
    ldd     r24, Z+STRIDE
    ldd     r25, Z+STRIDE+1
    add     r28, r24
    adc     r29, r25
    std     Z+BLOCK, r28
    std     Z+BLOCK+1, r29
    ldd     r24, Z+BLOCKS
    dec     r24
    std     Z+BLOCKS, r24
    breq    6f
    rjmp    2b
6:  .rept   13
    pop     r0
    .endr
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_dense_runs\rows\()_s24, . - eng_dense_runs\rows\()_s24
    .endm

    dense_runs 1
    dense_runs 2
    dense_runs 3
    dense_runs 4
    dense_runs 5
