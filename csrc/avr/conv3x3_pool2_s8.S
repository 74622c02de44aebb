/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/conv3x3_pool2_s8.c. For each window of 4 x 4 inputs and each filter the four sums of its 2 x 2 outputs are built
 * together, so that weights and inputs are loaded once for them. Sums have 16 bits and a register that counts overflows in
 * units of 2^15, as in dense_runs.S; the first two products of a sum cannot overflow.
 * 290 cycles a window and filter, 95 more if the largest sum is not below the clamp by its sign; a window at zero_x costs
 * 75 cycles and 7 a filter. Stack: 35 bytes.
 *
 * X codes out, Y inputs, Z filters, r24:r16 weights, r25 input and scratch, sum q: lo_q, mid_q, hi_q; r14 bit 7 if negative sums
 * give lo, bit 0 if the shift is 32, r15 minus the width of the input. */

    .equ    SPL, 0x3d
    .equ    SPH, 0x3e

/* eng_conv3x3_pool2 */
    .equ    FILTERS, 0
    .equ    STILL, 2
    .equ    IN_W, 4
    .equ    OUT_H, 5
    .equ    OUT_W, 6
    .equ    OUT_C, 7
    .equ    ZERO_X, 8
    .equ    NEGATIVE_IS_LO, 9
    .equ    SHIFT32, 10

/* State on the stack, from SP + 1, while a row is worked on; columns left is at SP + 1 and rows left behind. */
    .equ    AT_FILTERS, 2
    .equ    AT_STILL, 4
    .equ    AT_ZERO_X, 6
    .equ    AT_OUT_C, 7
    .equ    AT_OUT_W, 8

    .macro  sum_registers number, low, high
    .set    lo_\number, \low
    .set    mid_\number, \low + 1
    .set    hi_\number, \high
    .endm
    sum_registers 0, 2, 10
    sum_registers 1, 4, 11
    sum_registers 2, 6, 12
    sum_registers 3, 8, 13

    .macro  next_row
    sub     r28, r15
    sbci    r29, 0xff
    .endm

/* Input (row, column) of the window times its weight for output (down, right), if it has one. */
    .macro  tap row, column, down, right, number
    .if     (\row - \down >= 0) && (\row - \down <= 2) && (\column - \right >= 0) && (\column - \right <= 2)
    muls    16 + 3 * (\row - \down) + \column - \right, r25
    .if     \row == \down && \column == \right
    movw    lo_\number, r0
    .else
    add     lo_\number, r0
    adc     mid_\number, r1
    .if     !(\row == \down && \column - \right == 1)
    brvs    .Lover\row\column\number
.Lback\row\column\number:
    .endif
    .endif
    .endif
    .endm

    .macro  mend row, column, down, right, number
    .if     (\row - \down >= 0) && (\row - \down <= 2) && (\column - \right >= 0) && (\column - \right <= 2)
    .if     !(\row == \down && \column - \right <= 1)
.Lover\row\column\number:
    rcall   .Lmend\number
    rjmp    .Lback\row\column\number
    .endif
    .endif
    .endm

    .macro  for_outputs row, column, do
    \do     \row, \column, 0, 0, 0
    \do     \row, \column, 0, 1, 1
    \do     \row, \column, 1, 0, 2
    \do     \row, \column, 1, 1, 3
    .endm

    .macro  taps row
    .irp    column, 0,1,2,3
    ldd     r25, Y+\column
    for_outputs \row, \column, tap
    .endr
    .endm

    .macro  mends row
    .irp    column, 0,1,2,3
    for_outputs \row, \column, mend
    .endr
    .endm

    .macro  mend_routine number
.Lmend\number:
    sbrc    mid_\number, 7
    inc     hi_\number
    sbrs    mid_\number, 7
    dec     hi_\number
    push    r25
    ldi     r25, 0x80
    eor     mid_\number, r25
    pop     r25
    ret
    .endm

    .macro  larger16 a, b
    cp      lo_\a, lo_\b
    cpc     mid_\a, mid_\b
    brge    1f
    movw    lo_\a, lo_\b
1:
    .endm

/* Overflow count to third byte; r16 is 0x80, r17 zero. */
    .macro  widen number
    mov     r25, mid_\number
    lsl     r25
    sbc     r25, r25
    asr     hi_\number
    brcc    1f
    add     mid_\number, r16
    adc     r25, r17
1:  add     hi_\number, r25
    .endm

    .macro  larger24 a, b
    cp      lo_\a, lo_\b
    cpc     mid_\a, mid_\b
    cpc     hi_\a, hi_\b
    brge    1f
    movw    lo_\a, lo_\b
    mov     hi_\a, hi_\b
1:
    .endm

    .macro  still_row leave
    ldd     r0, Y+0
    cp      r0, r25
    .irp    column, 1,2,3
    ldd     r0, Y+\column
    cpc     r0, r25
    .endr
    brne    \leave
    .endm

    .macro  add_product sum, mult, low, middle, high
    mul     \sum, \mult
    add     \low, r0
    adc     \middle, r1
    adc     \high, r16
    .endm

    .section .text.eng_conv3x3_pool2_s8, "ax", @progbits
    .global eng_conv3x3_pool2_s8
    .type   eng_conv3x3_pool2_s8, @function
eng_conv3x3_pool2_s8:
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r28, r22
    movw    r26, r20
    ldd     r15, Z+IN_W
    neg     r15
    ldd     r14, Z+NEGATIVE_IS_LO
    lsr     r14
    ror     r14
    ldd     r0, Z+SHIFT32
    or      r14, r0
    .irp    field, OUT_H,OUT_W,OUT_C,ZERO_X,STILL+1,STILL,FILTERS+1,FILTERS
    ldd     r0, Z+\field
    push    r0
    .endr
.Lrow:
    in      r30, SPL
    in      r31, SPH
    ldd     r25, Z+AT_OUT_W-1
    push    r25
.Lwindow:
    in      r30, SPL
    in      r31, SPH
    ldd     r25, Z+AT_ZERO_X
    movw    r18, r28
    still_row .Lmoving
    next_row
    still_row .Lmoving
    next_row
    still_row .Lmoving
    next_row
    still_row .Lmoving
    movw    r28, r18
    ldd     r25, Z+AT_OUT_C
    ldd     r0, Z+AT_STILL
    ldd     r31, Z+AT_STILL+1
    mov     r30, r0
1:  ld      r0, Z+
    st      X+, r0
    dec     r25
    brne    1b
    rjmp    .Lnext_window

    mends   0

.Lmoving:
    movw    r28, r18
    ldd     r25, Z+AT_OUT_C
    ldd     r0, Z+AT_FILTERS
    ldd     r31, Z+AT_FILTERS+1
    mov     r30, r0
.Lfilter:
    push    r25
    .irp    reg, 16,17,18,19,20,21,22,23,24
    ld      r\reg, Z+
    .endr
    push    r28
    push    r29
    clr     hi_0
    clr     hi_1
    clr     hi_2
    clr     hi_3
    taps    0
    next_row
    taps    1
    next_row
    rjmp    2f
    mends   1
2:  taps    2
    next_row
    rjmp    3f
    mends   2
3:  taps    3
    pop     r29
    pop     r28
    mov     r25, hi_0
    or      r25, hi_1
    or      r25, hi_2
    or      r25, hi_3
    brne    .Lwide
    larger16 0, 1
    larger16 2, 3
    larger16 0, 2
    mov     hi_0, mid_0
    lsl     hi_0
    sbc     hi_0, hi_0
    rjmp    .Lbias

    mends   3
.Lwide:
    ldi     r16, 0x80
    ldi     r17, 0
    widen   0
    widen   1
    widen   2
    widen   3
    larger24 0, 1
    larger24 2, 3
    larger24 0, 2
.Lbias:
    ld      r25, Z+
    add     lo_0, r25
    ld      r25, Z+
    adc     mid_0, r25
    ld      r25, Z+
    adc     hi_0, r25
    sbrs    r14, 7
    rjmp    4f
    sbrs    hi_0, 7
    rjmp    4f
    adiw    r30, 8
    ld      r19, Z+
    adiw    r30, 1
    rjmp    .Lstore
4:  ld      r20, Z+
    ld      r21, Z+
    ld      r22, Z+
    ld      r23, Z+
    ldi     r16, 0
    mul     lo_0, r20
    mov     r5, r1
    clr     r6
    clr     r7
    add_product lo_0, r21, r5, r6, r7
    add_product mid_0, r20, r5, r6, r7
    clr     r8
    add_product lo_0, r22, r6, r7, r8
    add_product mid_0, r21, r6, r7, r8
    clr     r9
    add_product lo_0, r23, r7, r8, r9
    add_product mid_0, r22, r7, r8, r9
    clr     r11
    mul     mid_0, r23
    add     r8, r0
    adc     r9, r1
    tst     hi_0
    breq    5f
    add_product hi_0, r20, r6, r7, r8
    adc     r9, r16
    adc     r11, r16
    add_product hi_0, r21, r7, r8, r9
    adc     r11, r16
    add_product hi_0, r22, r8, r9, r11
    mul     hi_0, r23
    add     r9, r0
    adc     r11, r1
    sbrs    hi_0, 7
    rjmp    5f
    sub     r7, r20
    sbc     r8, r21
    sbc     r9, r22
    sbc     r11, r23
5:  sbrc    r14, 0
    rjmp    .Lshift32
    ld      r0, Z+
    add     r6, r0
    ld      r0, Z+
    adc     r7, r0
    ld      r0, Z+
    adc     r8, r0
    ld      r0, Z+
    adc     r9, r0
    adc     r11, r16
    ld      r17, Z+
    ld      r18, Z+
    mov     r19, r9
    tst     r11
    breq    6f
    mov     r19, r18
    sbrc    r11, 7
    mov     r19, r17
6:  cp      r19, r17
    brsh    7f
    mov     r19, r17
7:  cp      r18, r19
    brsh    .Lstore
    mov     r19, r18
.Lstore:
    subi    r19, 0x80
    st      X+, r19
    pop     r25
    dec     r25
    breq    .Lnext_window
    rjmp    .Lfilter
.Lshift32:
    .irp    reg, 5,6,7,8
    ld      r0, Z+
    .if     \reg == 5
    add     r\reg, r0
    .else
    adc     r\reg, r0
    .endif
    .endr
    adc     r9, r16
    ld      r17, Z+
    ld      r18, Z+
    mov     r19, r8
    tst     r9
    breq    6b
    mov     r19, r18
    sbrc    r9, 7
    mov     r19, r17
    rjmp    6b
.Lnext_window:
    adiw    r28, 2
    pop     r25
    dec     r25
    breq    8f
    push    r25
    rjmp    .Lwindow
8:  in      r30, SPL
    in      r31, SPH
    next_row
    next_row
    ldd     r25, Z+AT_OUT_W-1
    lsl     r25
    sub     r28, r25
    sbci    r29, 0
    ldd     r25, Z+AT_OUT_W
    dec     r25
    std     Z+AT_OUT_W, r25
    breq    9f
    rjmp    .Lrow
9:  .rept   8
    pop     r0
    .endr
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    clr     r1
    ret
    mend_routine 0
    mend_routine 1
    mend_routine 2
    mend_routine 3
    .size   eng_conv3x3_pool2_s8, . - eng_conv3x3_pool2_s8
