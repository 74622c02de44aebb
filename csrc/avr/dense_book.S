/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/dense_book.c for AVRxt: eng_dense_book4_s24, eng_dense_book2_s24.
 *
 * The values of a block lie on the stack at an address whose low bits are zero, so that an index is part of their address.
 * A row keeps 16 bits of its sum in registers; when a product overflows them, the row's top byte on the stack counts up or down.
 *
 * X inputs, Y weights, Z value, r18 value, r19 input less base, r20 indices, r21 low byte of the values' address, r22 inputs left
 * in the run, r23 base, r24 high byte of the values' address, r25 zero, r1:r0 products. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e
    .equ    SREG, 0x3f

    .equ    W, 0
    .equ    BOOK, 2
    .equ    START_AT, 4
    .equ    IN, 6
    .equ    BLOCK_COUNT, 8
    .equ    BASE_AT, 9

/* State on the stack, from SP + 1; the values begin at the first address from VALUES on that is a multiple of their number. */
    .equ    TOP, 1
    .equ    LEFT, 9
    .equ    NEXT, 10
    .equ    BLOCKS, 12
    .equ    START, 13
    .equ    NEXT_BOOK, 15
    .equ    WEIGHTS, 17
    .equ    STRIDE, 19
    .equ    RUNS, 21
    .equ    INPUT, 23
    .equ    SUM, 25
    .equ    VALUES, 27

/* Do \do with bits and number, low and middle byte of each row from \from to \to. */
    .macro  for_rows bits, do, from=0, to=7
    .irp    row, 0,1,2,3,4,5,6,7
    .if     \row >= \from
    .if     \row <= \to
    \do     \bits, \row, (2 + 2 * \row), (3 + 2 * \row)
    .endif
    .endif
    .endr
    .endm


/* Multiply the value whose index is in the lowest bits of r20, once those of the row before have left. */
    .macro  product bits, row, low, mid
    .if     \row % (8 / \bits) == 0
    ld      r20, Y+
    .elseif \bits == 4
    swap    r20
    .else
    lsr     r20
    lsr     r20
    .endif
    mov     r30, r20
    andi    r30, (1 << \bits) - 1
    or      r30, r21
    ld      r18, Z
    mulsu   r18, r19
    add     \low, r0
    adc     \mid, r1
    brvs    .Lover\bits\()_\row
.Lback\bits\()_\row:
    .endm

    .macro  overflow bits, row, low, mid
.Lover\bits\()_\row:
    in      r30, SPL
    in      r31, SPH
    ldd     r0, Z+TOP+\row
    brpl    1f
    inc     r0
    inc     r0
1:  dec     r0
    std     Z+TOP+\row, r0
    mov     r31, r24
    rjmp    .Lback\bits\()_\row
    .endm

    .macro  load_start bits, row, low, mid
    ld      \low, X+
    ld      \mid, X+
    ld      r0, X+
    std     Y+TOP+\row, r0
    .endm

    .macro  store_sum bits, row, low, mid
    ldd     r0, Z+TOP+\row
    sbrc    \mid, 7
    dec     r0
    st      X+, \low
    st      X+, \mid
    st      X+, r0
    .endm

    .macro  dense_book bits
    .set    COUNT\bits, 1 << \bits
    .set    FRAME\bits, VALUES - 1 + 2 * COUNT\bits - 1
    .section .text.eng_dense_book\bits\()_s24, "ax", @progbits
    .global eng_dense_book\bits\()_s24
    .type   eng_dense_book\bits\()_s24, @function
eng_dense_book\bits\()_s24:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    in      r28, SPL
    in      r29, SPH
    sbiw    r28, FRAME\bits
    in      r0, SREG
    cli
    out     SPH, r29
    out     SREG, r0
    out     SPL, r28
    std     Y+SUM, r18
    std     Y+SUM+1, r19
    std     Y+RUNS, r20
    std     Y+RUNS+1, r21
    std     Y+INPUT, r22
    std     Y+INPUT+1, r23
    movw    r30, r24
    ldd     r18, Z+IN
    ldd     r19, Z+IN+1
    .rept   \bits / 2
    lsl     r18
    rol     r19
    .endr
    std     Y+STRIDE, r18
    std     Y+STRIDE+1, r19
    .irp    field, WEIGHTS, NEXT_BOOK, START
    ld      r18, Z+
    std     Y+\field, r18
    ld      r18, Z+
    std     Y+\field+1, r18
    .endr
    ldd     r18, Z+BLOCK_COUNT-IN
    std     Y+BLOCKS, r18
    ldd     r23, Z+BASE_AT-IN
    movw    r30, r28
    adiw    r30, VALUES + COUNT\bits - 1
    andi    r30, 256 - COUNT\bits
    mov     r21, r30
    mov     r24, r31
    ldi     r25, 0
.Lblock\bits:
    ldd     r26, Y+START
    ldd     r27, Y+START+1
    for_rows \bits, load_start
    std     Y+START, r26
    std     Y+START+1, r27
    ldd     r26, Y+NEXT_BOOK
    ldd     r27, Y+NEXT_BOOK+1
    mov     r30, r21
    mov     r31, r24
    ldi     r18, COUNT\bits
1:  ld      r0, X+
    st      Z+, r0
    dec     r18
    brne    1b
    std     Y+NEXT_BOOK, r26
    std     Y+NEXT_BOOK+1, r27
    ldd     r26, Y+RUNS
    ldd     r27, Y+RUNS+1
    ld      r18, X+
    std     Y+LEFT, r18
    std     Y+NEXT, r26
    std     Y+NEXT+1, r27
    ldd     r26, Y+INPUT
    ldd     r27, Y+INPUT+1
    ldd     r18, Y+WEIGHTS
    ldd     r29, Y+WEIGHTS+1
    mov     r28, r18
.Lrun\bits:
    in      r30, SPL
    in      r31, SPH
    ldd     r18, Z+LEFT
    subi    r18, 1
    brcc    2f
    rjmp    .Lsums\bits
2:  std     Z+LEFT, r18
    ldd     r18, Z+NEXT
    ldd     r19, Z+NEXT+1
    movw    r30, r18
    ld      r0, Z+
    ld      r22, Z+
    movw    r18, r30
    in      r30, SPL
    in      r31, SPH
    std     Z+NEXT, r18
    std     Z+NEXT+1, r19
    mov     r31, r24
    add     r26, r0
    adc     r27, r25
    ldi     r18, \bits
    mul     r18, r0
    add     r28, r0
    adc     r29, r1
    rjmp    .Linput\bits
    for_rows \bits, overflow, 0, 3
.Linput\bits:
    ld      r19, X+
    sub     r19, r23
    for_rows \bits, product
    dec     r22
    breq    .Lrun_near\bits
    rjmp    .Linput\bits
.Lrun_near\bits:
    rjmp    .Lrun\bits
    for_rows \bits, overflow, 4, 7
.Lsums\bits:
    ldd     r26, Z+SUM
    ldd     r27, Z+SUM+1
    for_rows \bits, store_sum
    movw    r28, r30
    std     Y+SUM, r26
    std     Y+SUM+1, r27
    ldd     r26, Y+WEIGHTS
    ldd     r27, Y+WEIGHTS+1
    ldd     r18, Y+STRIDE
    ldd     r19, Y+STRIDE+1
    add     r26, r18
    adc     r27, r19
    std     Y+WEIGHTS, r26
    std     Y+WEIGHTS+1, r27
    ldd     r18, Y+BLOCKS
    dec     r18
    std     Y+BLOCKS, r18
    breq    5f
    rjmp    .Lblock\bits
5:  in      r28, SPL
    in      r29, SPH
    adiw    r28, FRAME\bits
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
    .size   eng_dense_book\bits\()_s24, . - eng_dense_book\bits\()_s24
    .endm

    dense_book 4
    dense_book 2
