/* SPDX-License-Identifier: Apache-2.0 */
/* Twins of src/im2col_s24.c. The filters of a block and the two positions of a patch have an accumulator of three bytes each; a
 * weight is loaded once for both positions, an input once for all filters of the block.
 *
 * X patch, Z stream, Y sums, r25 pairs of taps, r24 those left, r23 zero, r22 weight, r21 and r20 inputs; T if taps are odd.
 * Stack: 2 bytes of return address, 18 saved registers, 4 of state. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

/* eng_im2col_filters */
    .equ    STREAM, 0
    .equ    TAPS, 2
    .equ    BLOCKS, 4

/* State on the stack, from SP + 1: patch, whether sums are the largest ones, blocks left. */
    .equ    LARGEST, 3
    .equ    LEFT, 4

    .macro  load_flash reg
    ld      \reg, Z+
    .endm

/* Do \do with the registers of the two sums of each filter. */
    .macro  for_filters rows, do
    \do     2, 3, 4, 5, 6, 7
    \do     8, 9, 10, 11, 18, 19
    .if     \rows == 3
    \do     12, 13, 14, 15, 16, 17
    .endif
    .endm

    .macro  copy_sums lo0, mid0, hi0, lo1, mid1, hi1
    .if     \lo0 != 2
    movw    r\lo0, r2
    movw    r\hi0, r4
    movw    r\mid1, r6
    .endif
    .endm

    .macro  add_start lo0, mid0, hi0, lo1, mid1, hi1
    load_flash r20
    load_flash r21
    load_flash r22
    add     r\lo0, r20
    adc     r\mid0, r21
    adc     r\hi0, r22
    add     r\lo1, r20
    adc     r\mid1, r21
    adc     r\hi1, r22
    .endm

    .macro  products lo0, mid0, hi0, lo1, mid1, hi1
    load_flash r22
    mul     r22, r20
    add     r\lo0, r0
    adc     r\mid0, r1
    adc     r\hi0, r23
    mul     r22, r21
    add     r\lo1, r0
    adc     r\mid1, r1
    adc     r\hi1, r23
    .endm

    .macro  larger lo0, mid0, hi0, lo1, mid1, hi1
    cp      r\lo0, r\lo1
    cpc     r\mid0, r\mid1
    cpc     r\hi0, r\hi1
    brge    9f
    mov     r\lo0, r\lo1
    mov     r\mid0, r\mid1
    mov     r\hi0, r\hi1
9:
    .endm

    .macro  store_largest lo0, mid0, hi0, lo1, mid1, hi1
    larger  \lo0, \mid0, \hi0, \lo1, \mid1, \hi1
    ldd     r20, Y+0
    ldd     r21, Y+1
    ldd     r22, Y+2
    larger  \lo0, \mid0, \hi0, 20, 21, 22
    st      Y+, r\lo0
    st      Y+, r\mid0
    st      Y+, r\hi0
    .endm

    .macro  store_each lo0, mid0, hi0, lo1, mid1, hi1
    .irp    reg, \lo0,\mid0,\hi0,\lo1,\mid1,\hi1
    st      Y+, r\reg
    .endr
    .endm

/* One tap; one without inputs but zeros is skipped where that is asked for. */
    .macro  tap rows, skipping, skip
    ld      r20, X+
    ld      r21, X+
    .if     \skipping
    mov     r22, r20
    or      r22, r21
    breq    \skip
    .endif
    for_filters \rows, products
    .endm

    .macro  function name, rows, skipping
    .section .text.\name, "ax", @progbits
    .global \name
    .type   \name, @function
\name:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11
    push    r\reg
    .endr
    .if     \rows == 3
    .irp    reg, 12,13,14,15,16,17
    push    r\reg
    .endr
    .endif
    push    r28
    push    r29
    movw    r30, r24
    movw    r28, r20
    ldd     r0, Z+BLOCKS
    push    r0
    push    r18
    push    r23
    push    r22
    ldd     r24, Z+TAPS
    ldd     r25, Z+TAPS+1
    bst     r24, 0
    adiw    r24, 1
    lsr     r25
    ror     r24
    mov     r25, r24
    ldd     r0, Z+STREAM
    ldd     r31, Z+STREAM+1
    mov     r30, r0
    ldi     r23, 0
1:  pop     r26
    pop     r27
    push    r27
    push    r26
    .irp    reg, 2,3,4,5,6,7
    ld      r\reg, X+
    .endr
    for_filters \rows, copy_sums
    for_filters \rows, add_start
    mov     r24, r25
    brts    3f
    .if     \skipping
    rjmp    2f
.Lskip\rows:
    adiw    r30, \rows
    rjmp    3f
.Lskip_odd\rows:
    adiw    r30, \rows
    rjmp    4f
    .endif
2:  tap     \rows, \skipping, .Lskip\rows
3:  tap     \rows, \skipping, .Lskip_odd\rows
4:  dec     r24
    .if     \skipping
    breq    5f
    rjmp    2b
    .else
    brne    2b
    .endif
5:  in      r26, SPL
    in      r27, SPH
    adiw    r26, LARGEST
    ld      r20, X+
    tst     r20
    breq    6f
    for_filters \rows, store_largest
    rjmp    7f
6:  for_filters \rows, store_each
7:  ld      r20, X
    dec     r20
    st      X, r20
    breq    8f
    rjmp    1b
8:  .rept   4
    pop     r0
    .endr
    pop     r29
    pop     r28
    .if     \rows == 3
    .irp    reg, 17,16,15,14,13,12
    pop     r\reg
    .endr
    .endif
    .irp    reg, 11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   \name, . - \name
    .endm

    function eng_im2col2_s24, 2, 0
    function eng_im2col3_s24, 3, 0
    function eng_im2col2_moving_s24, 2, 1
    function eng_im2col3_moving_s24, 3, 1
