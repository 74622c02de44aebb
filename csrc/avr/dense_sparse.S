/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/dense_sparse.c for AVRxt: eng_dense_sparse1_s24, eng_dense_sparse4_s24, eng_dense_sparse8_s24.
 *
 * A row keeps 16 bits of its sum in registers; when a product overflows them, the row's top byte on the stack counts up or down.
 *
 * X inputs, Y weights, Z stack, r18 weight, r19 input less base, r20 base, r21 entries left in the segment, r22 inputs passed,
 * r23 zero, r24 blocks left, r1:r0 products. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e
    .equ    SREG, 0x3f

    .equ    START_AT, 2
    .equ    BLOCK_COUNT, 4
    .equ    BASE_AT, 5

/* State on the stack, from SP + 1. */
    .equ    TOP, 1
    .equ    START, 9
    .equ    SUM, 11
    .equ    INPUT, 13
    .equ    FRAME, 14

/* Do \do with the number of rows, number, low and middle byte of each row from \from to \to. */
    .macro  for_rows rows, do, from=0, to=7
    .irp    row, 0,1,2,3,4,5,6,7
    .if     \rows > \row
    .if     \row >= \from
    .if     \row <= \to
    \do     \rows, \row, (2 + 2 * \row), (3 + 2 * \row)
    .endif
    .endif
    .endif
    .endr
    .endm

    .macro  product rows, row, low, mid
    ld      r18, Y+
    mulsu   r18, r19
    add     \low, r0
    adc     \mid, r1
    brvs    .Lover\rows\()_\row
.Lback\rows\()_\row:
    .endm

    .macro  overflow rows, row, low, mid
.Lover\rows\()_\row:
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

    .macro  push_word low
    push    \low + 1
    push    \low
    .endm

    .macro  dense_sparse rows
    .section .text.eng_dense_sparse\rows\()_s24, "ax", @progbits
    .global eng_dense_sparse\rows\()_s24
    .type   eng_dense_sparse\rows\()_s24, @function
eng_dense_sparse\rows\()_s24:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17
    .if     \reg < 2 + 2 * \rows
    push    r\reg
    .endif
    .endr
    push    r28
    push    r29
    movw    r30, r24
    push_word 22
    push_word 20
    ldd     r26, Z+START_AT
    ldd     r27, Z+START_AT+1
    push_word 26
    ldd     r28, Z+0
    ldd     r29, Z+1
    ldd     r24, Z+BLOCK_COUNT
    ldd     r20, Z+BASE_AT
    .rept   4
    rcall   .
    .endr
    ldi     r23, 0
    in      r30, SPL
    in      r31, SPH
.Lblock\rows:
    ldd     r26, Z+START
    ldd     r27, Z+START+1
    for_rows \rows, load_start
    std     Z+START, r26
    std     Z+START+1, r27
    ldd     r26, Z+INPUT
    ldd     r27, Z+INPUT+1
    rjmp    .Lsegment\rows
    for_rows \rows, overflow, 0, 3
.Lsegment\rows:
    ld      r21, Y+
    tst     r21
    brne    .Lentry\rows
    rjmp    .Lsums\rows
    .if     \rows > 1
.Lpassed\rows:
    adiw    r28, \rows
    dec     r21
    breq    .Lsegment\rows
    .endif
.Lentry\rows:
    ld      r22, Y+
    add     r26, r22
    adc     r27, r23
    ld      r19, X
    sub     r19, r20
    .if     \rows > 1
    breq    .Lpassed\rows
    .endif
    for_rows \rows, product
    dec     r21
    brne    .Lentry\rows
    rjmp    .Lsegment\rows
    for_rows \rows, overflow, 4, 7
.Lsums\rows:
    ldd     r26, Z+SUM
    ldd     r27, Z+SUM+1
    for_rows \rows, store_sum
    std     Z+SUM, r26
    std     Z+SUM+1, r27
    dec     r24
    breq    2f
    rjmp    .Lblock\rows
2:  in      r28, SPL
    in      r29, SPH
    adiw    r28, FRAME
    in      r0, SREG
    cli
    out     SPH, r29
    out     SREG, r0
    out     SPL, r28
    pop     r29
    pop     r28
    .irp    reg, 17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    .if     \reg < 2 + 2 * \rows
    pop     r\reg
    .endif
    .endr
    clr     r1
    ret
    .size   eng_dense_sparse\rows\()_s24, . - eng_dense_sparse\rows\()_s24
    .endm

    .irp    rows, 1,4,8
    dense_sparse \rows
    .endr
