/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/dense_rows8.c for AVRxt (flash is read as data): eng_dense_rows8_s24.
 *
 * A row keeps three registers: hi:lo (16 bit, signed) gathers the products of one group, mid gathers hi at the group's end as a
 * signed number. When mid overflows, the row's top byte on the stack counts up or down.
 * A group of k inputs is entered k steps before the end of an unrolled body, so that there is no loop over inputs.
 * The pointer to the headers lies on the stack and takes X for one load, as there are no registers left.
 *
 * X inputs, Y weights, r31:r30 operands and jump, r1:r0 products. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e
    .equ    DEPTH, 7

/* Do \do with number, lo, mid, hi of each row. High bytes are neighbours in pairs, for movw. */
    .macro  for_rows do
    \do     0, 10, 18, 2
    \do     1, 11, 19, 3
    \do     2, 12, 20, 4
    \do     3, 13, 21, 5
    \do     4, 14, 22, 6
    \do     5, 15, 23, 7
    \do     6, 16, 24, 8
    \do     7, 17, 25, 9
    .endm

/* State on the stack, from SP + 1: headers, top byte of each row, blocks left, start, sum, x. */
    .equ    HEADERS, 1
    .equ    TOP, 3
    .equ    BLOCKS, 11
    .equ    START, 12
    .equ    SUM, 14
    .equ    INPUT, 16

    .macro  product row, lo, mid, hi
    ld      r30, Y+
    muls    r30, r31
    add     \lo, r0
    adc     \hi, r1
    .endm

    .macro  fold row, lo, mid, hi
    add     \mid, \hi
    .if     \row < 5
    brvs    .Loverflow\row
    .else
    brvs    .Lfar\row
    .endif
.Lback\row:
    .endm

    .macro  far row, lo, mid, hi
    .if     \row >= 5
.Lfar\row:
    rjmp    .Loverflow\row
    .endif
    .endm

    .macro  overflow row, lo, mid, hi
.Loverflow\row:
    in      r30, SPL
    in      r31, SPH
    ldd     r0, Z+TOP+\row
    brpl    1f
    inc     r0
    inc     r0
1:  dec     r0
    std     Z+TOP+\row, r0
    rjmp    .Lback\row
    .endm

    .macro  load_start row, lo, mid, hi
    ld      \lo, X+
    ld      \mid, X+
    ld      r0, X+
    std     Z+TOP+\row, r0
    .endm

    .macro  store_sum row, lo, mid, hi
    ldd     r0, Z+TOP+\row
    sbrc    \mid, 7
    dec     r0
    st      X+, \lo
    st      X+, \mid
    st      X+, r0
    .endm

    .section .text.eng_dense_rows8_s24, "ax", @progbits
    .global eng_dense_rows8_s24
    .type   eng_dense_rows8_s24, @function
eng_dense_rows8_s24:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    push    r23
    push    r22
    push    r21
    push    r20
    .irp    field, 5,4,6
    ldd     r0, Z+\field
    push    r0
    .endr
    .rept   8
    push    r0
    .endr
    ldd     r28, Z+0
    ldd     r29, Z+1
    ldd     r0, Z+3
    push    r0
    ldd     r0, Z+2
    push    r0
.Lblock:
    in      r30, SPL
    in      r31, SPH
    ldd     r26, Z+START
    ldd     r27, Z+START+1
    for_rows load_start
    std     Z+START, r26
    std     Z+START+1, r27
    ldd     r26, Z+INPUT
    ldd     r27, Z+INPUT+1
    rjmp    3f
2:  rjmp    4f
    .rept   DEPTH
    ld      r31, X+
    for_rows product
    .endr
    for_rows fold
3:  movw    r30, r26
    pop     r26
    pop     r27
    ld      r0, X+
    push    r27
    push    r26
    movw    r26, r30
    ldi     r30, 0
    ldi     r31, 0
    movw    r2, r30
    movw    r4, r30
    movw    r6, r30
    movw    r8, r30
    mov     r30, r0
    subi    r30, lo8(-(gs(2b)))
    sbci    r31, hi8(-(gs(2b)))
    ijmp
    for_rows far
    for_rows overflow
4:  in      r30, SPL
    in      r31, SPH
    ldd     r26, Z+SUM
    ldd     r27, Z+SUM+1
    for_rows store_sum
    std     Z+SUM, r26
    std     Z+SUM+1, r27
    ldd     r0, Z+BLOCKS
    dec     r0
    std     Z+BLOCKS, r0
    breq    5f
    rjmp    .Lblock
5:  .rept   17
    pop     r0
    .endr
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_dense_rows8_s24, . - eng_dense_rows8_s24
