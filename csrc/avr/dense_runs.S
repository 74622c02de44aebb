/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/dense_runs.c for AVRxt: eng_dense_runs1_s24 ... eng_dense_runs8_s24.
 *
 * A row keeps 16 bits of its sum in registers; when a product overflows them, the row's top byte on the stack counts up or down.
 * Sums are right modulo 2^24 whatever happens in between, so that only the finished one is bounded.
 *
 * X inputs, Y weights, Z stack, r16 weight, r17 input, r18 runs left, r19 zero_x, r20 zero, r21 inputs left in the run,
 * r23:r22 runs, r1:r0 products. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

/* Do \do with the number of rows, number, low and middle byte of each row. */
    .macro  for_rows rows, do, from=0, to=7
    .irp    pair, 0,1,2,3,4,5,6
    .if     \rows > \pair
    .if     \pair >= \from
    .if     \pair <= \to
    \do     \rows, \pair, (2 + 2 * \pair), (3 + 2 * \pair)
    .endif
    .endif
    .endif
    .endr
    .if     \rows > 7
    .if     7 >= \from
    .if     7 <= \to
    \do     \rows, 7, 24, 25
    .endif
    .endif
    .endif
    .endm

    .macro  product rows, row, low, mid
    ld      r16, Y+
    mulsu   r16, r17
    add     \low, r0
    adc     \mid, r1
    brvs    .Loverflow\rows\()_\row
.Lback\rows\()_\row:
    .endm

    .macro  overflow rows, row, low, mid
.Loverflow\rows\()_\row:
    ldd     r0, Z+TOP+\row
    brpl    1f
    inc     r0
    inc     r0
1:  dec     r0
    std     Z+TOP+\row, r0
    rjmp    .Lback\rows\()_\row
    .endm

    .macro  load_start rows, row, low, mid
    ld      \low, X+
    ld      \mid, X+
    ld      r0, X+
    std     Z+TOP+\row, r0
    .endm

    .macro  store_sum rows, row, low, mid
    ldd     r0, Z+TOP+\row
    sbrc    \mid, 7
    dec     r0
    st      X+, \low
    st      X+, \mid
    st      X+, r0
    .endm

/* State on the stack, from SP + 1. BLOCK is where the block's weights start, STRIDE the bytes of a block. */
    .equ    TOP, 1
    .equ    BLOCKS, 9
    .equ    START, 10
    .equ    SUM, 12
    .equ    INPUT, 14
    .equ    RUNS, 16
    .equ    BLOCK, 18
    .equ    STRIDE, 20

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
    .irp    field, 5,4,6
    ldd     r0, Z+\field
    push    r0
    .endr
    .rept   8
    push    r0
    .endr
    mov     r19, r20
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
    ldd     r22, Z+RUNS
    ldd     r23, Z+RUNS+1
    movw    r30, r22
    ld      r18, Z+
    tst     r18
    brne    3f
    rjmp    5f
    for_rows \rows, overflow, 6, 7
3:  ld      r17, Z+
    add     r26, r17
    adc     r27, r20
    ldi     r16, \rows
    mul     r17, r16
    add     r28, r0
    adc     r29, r1
    ld      r21, Z+
    movw    r22, r30
    in      r30, SPL
    in      r31, SPH
4:  ld      r17, X+
    sub     r17, r19
    for_rows \rows, product
    dec     r21
    brne    4b
    movw    r30, r22
    dec     r18
    breq    5f
    rjmp    3b
    for_rows \rows, overflow, 0, 5
5:  in      r30, SPL
    in      r31, SPH
    ldd     r26, Z+SUM
    ldd     r27, Z+SUM+1
    for_rows \rows, store_sum
    std     Z+SUM, r26
    std     Z+SUM+1, r27
    ldd     r28, Z+BLOCK
    ldd     r29, Z+BLOCK+1
    ldd     r22, Z+STRIDE
    ldd     r23, Z+STRIDE+1
    add     r28, r22
    adc     r29, r23
    std     Z+BLOCK, r28
    std     Z+BLOCK+1, r29
    ldd     r22, Z+BLOCKS
    dec     r22
    std     Z+BLOCKS, r22
    breq    6f
    rjmp    2b
6:  .rept   21
    pop     r0
    .endr
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_dense_runs\rows\()_s24, . - eng_dense_runs\rows\()_s24
    .endm

    .irp    rows, 1,2,3,4,5,8
    dense_runs \rows
    .endr
