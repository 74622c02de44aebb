/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/dense_moved.c for AVRxt: eng_dense_moved3_s24 ... eng_dense_moved5_s24.
 *
 * A row keeps 16 bits of its sum in registers; when a product overflows them, the row's top byte on the stack counts up or down.
 * The magnitude of a difference from rest is multiplied, and the product added or subtracted.
 *
 * X inputs, Y weights, Z codes at rest, r16 weight, r17 difference, r18 runs left, r19 cells left, r20 inputs left of the cell,
 * r21 period, r13 bytes of a cell's weights, r23:r22 codes at rest, r25:r24 runs, r15:r14 saved Z, T set where a sum became negative, r1:r0 products. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e
    .equ    SREG, 0x3f

    .equ    W, 0
    .equ    START_AT, 4
    .equ    BLOCK_COUNT, 6
    .equ    INPUTS, 7
    .equ    REST, 0
    .equ    PERIOD, 2

/* Do \do with the number of rows, number, low and middle byte of each row. */
    .macro  for_rows rows, do, sign
    .irp    row, 0,1,2,3,4
    .if     \rows > \row
    \do     \rows, \row, (2 + 2 * \row), (3 + 2 * \row), \sign
    .endif
    .endr
    .endm

    .macro  product rows, row, low, mid, sign
    ld      r16, Y+
    mulsu   r16, r17
    .ifc    \sign, plus
    add     \low, r0
    adc     \mid, r1
    .else
    sub     \low, r0
    sbc     \mid, r1
    .endif
    brvs    .Lover_\sign\()_\rows\()_\row
.Lback_\sign\()_\rows\()_\row:
    .endm

/* The row's top byte counts up if the sum has become negative, else down. */
    .macro  overflow rows, row, low, mid, sign
.Lover_\sign\()_\rows\()_\row:
    ldi     r16, \row
    rcall   .Ltop_\rows
    rjmp    .Lback_\sign\()_\rows\()_\row
    .endm

    .macro  load_start rows, row, low, mid, sign
    ld      \low, X+
    ld      \mid, X+
    ld      r0, X+
    sbrc    \mid, 7
    inc     r0
    std     Z+TOP+\row, r0
    .endm

    .macro  store_sum rows, row, low, mid, sign
    ldd     r0, Z+TOP+\row
    sbrc    \mid, 7
    dec     r0
    st      X+, \low
    st      X+, \mid
    st      X+, r0
    .endm

/* State on the stack, from SP + 1. */
    .equ    TOP, 1
    .equ    BLOCKS, 6
    .equ    START, 7
    .equ    SUM, 9
    .equ    INPUT, 11
    .equ    BLOCK, 13
    .equ    STRIDE, 15
    .equ    TABLE, 17

    .macro  push_word low
    push    \low + 1
    push    \low
    .endm

    .macro  dense_moved rows
    .section .text.eng_dense_moved\rows\()_s24, "ax", @progbits
    .global eng_dense_moved\rows\()_s24
    .type   eng_dense_moved\rows\()_s24, @function
eng_dense_moved\rows\()_s24:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,13,14,15,16,17,28,29
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
    .rept   5
    push    r0
    .endr
    ld      r22, X+
    ld      r23, X+
    ld      r21, X
    ldi     r16, \rows
    mul     r21, r16
    mov     r13, r0
.Lblock_\rows:
    in      r30, SPL
    in      r31, SPH
    ldd     r26, Z+START
    ldd     r27, Z+START+1
    for_rows \rows, load_start, plus
    std     Z+START, r26
    std     Z+START+1, r27
    ldd     r26, Z+INPUT
    ldd     r27, Z+INPUT+1
    ldd     r28, Z+BLOCK
    ldd     r29, Z+BLOCK+1
    ldd     r24, Z+TABLE
    ldd     r25, Z+TABLE+1
    movw    r30, r24
    ld      r18, Z+
    movw    r24, r30
    tst     r18
    brne    .Lrun_\rows
    rjmp    .Lstore_\rows
.Lrun_\rows:
    movw    r30, r24
    ld      r16, Z+
    ld      r19, Z+
    movw    r24, r30
    mul     r16, r21
    add     r26, r0
    adc     r27, r1
    mul     r16, r13
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
    for_rows \rows, product, plus
.Lnext_\rows:
    dec     r20
    brne    .Linput_\rows
    dec     r19
    brne    .Lcell_\rows
    dec     r18
    brne    .Lrun_\rows
    rjmp    .Lstore_\rows
.Lrests_\rows:
    adiw    r28, \rows
    rjmp    .Lnext_\rows
.Lless_\rows:
    neg     r17
    for_rows \rows, product, minus
    rjmp    .Lnext_\rows
    for_rows \rows, overflow, plus
    for_rows \rows, overflow, minus
.Ltop_\rows:
    clt
    brpl    1f
    set
1:  movw    r14, r30
    in      r30, SPL
    in      r31, SPH
    add     r30, r16
    ldi     r16, 0
    adc     r31, r16
    ldd     r16, Z+TOP+2
    brts    1f
    subi    r16, 2
1:  inc     r16
    std     Z+TOP+2, r16
    movw    r30, r14
    ret
.Lstore_\rows:
    in      r30, SPL
    in      r31, SPH
    ldd     r26, Z+SUM
    ldd     r27, Z+SUM+1
    for_rows \rows, store_sum, plus
    std     Z+SUM, r26
    std     Z+SUM+1, r27
    ldd     r26, Z+BLOCK
    ldd     r27, Z+BLOCK+1
    ldd     r24, Z+STRIDE
    ldd     r25, Z+STRIDE+1
    add     r26, r24
    adc     r27, r25
    std     Z+BLOCK, r26
    std     Z+BLOCK+1, r27
    ldd     r24, Z+BLOCKS
    dec     r24
    std     Z+BLOCKS, r24
    breq    1f
    rjmp    .Lblock_\rows
1:  in      r28, SPL
    in      r29, SPH
    adiw    r28, 18
    in      r0, SREG
    cli
    out     SPH, r29
    out     SREG, r0
    out     SPL, r28
    .irp    reg, 29,28,17,16,15,14,13,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_dense_moved\rows\()_s24, . - eng_dense_moved\rows\()_s24
    .endm

    dense_moved 3
    dense_moved 4
    dense_moved 5
