/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/conv2d_patch_sum_s8.c, for any patch. 16 cycles a tap, 18 with a zero point, 9 more where x - zero_x leaves 8 bits:
 * then the product of the wrapped difference lacks 256 times the weight. 28 cycles a row, 60 a run.
 *
 * X inputs, Z weights, Y the patch, r25:r22 sum, r18 and r19 factors, r17 sign of the product, r21:r20 taps left of the run,
 * r16 zero_x, r15:r14 and r13:r12 where the row starts in x and w, r11:r10 and r9:r8 where the run does, r7:r6 rows left,
 * r27:r26 runs left, on the stack during a run. Stack: 18 bytes. */

#include "weight.inc"

    .equ    X_AT, 0
    .equ    W_FIRST, 2
    .equ    ROWS, 4
    .equ    RUNS, 6
    .equ    RUN, 8
    .equ    W_ROW, 12
    .equ    W_RUN, 14
    .equ    X_ROW, 16
    .equ    X_RUN, 18

/* Add the word of the patch at \field to a pair of registers. */
    .macro  add_field low, field
    ldd     r18, Y+\field
    ldd     r19, Y+\field+1
    add     \low, r18
    adc     \low + 1, r19
    .endm

    .macro  add_product
    muls    r18, r19
    sbc     r17, r17
    add     r22, r0
    adc     r23, r1
    adc     r24, r17
    adc     r25, r17
    subi    r20, 1
    sbci    r21, 0
    .endm

    .section .text.eng_conv2d_patch_sum, "ax", @progbits
    .global eng_conv2d_patch_sum
    .type   eng_conv2d_patch_sum, @function
eng_conv2d_patch_sum:
    .irp    reg, 6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r28, r24
    movw    r8, r20
    mov     r21, r22
    movw    r22, r16
    movw    r24, r18
    mov     r16, r21
    ldd     r10, Y+X_AT
    ldd     r11, Y+X_AT+1
    add_field 8, W_FIRST
    ldd     r26, Y+RUNS
    ldd     r27, Y+RUNS+1
.Lrun:
    push    r26
    push    r27
    movw    r14, r10
    movw    r12, r8
    ldd     r6, Y+ROWS
    ldd     r7, Y+ROWS+1
.Lrow:
    movw    r26, r14
    movw    r30, r12
    ldd     r20, Y+RUN
    ldd     r21, Y+RUN+1
    tst     r16
    brne    2f
1:  ld      r18, X+
    weight  r19
    add_product
    brne    1b
    rjmp    3f
2:  ld      r18, X+
    weight  r19
    sub     r18, r16
    brvs    .Lwrapped
.Lback:
    add_product
    brne    2b
3:  add_field 14, X_ROW
    add_field 12, W_ROW
    ldi     r17, 1
    sub     r6, r17
    sbc     r7, r21
    brne    .Lrow
    add_field 10, X_RUN
    add_field 8, W_RUN
    pop     r27
    pop     r26
    sbiw    r26, 1
    brne    .Lrun
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6
    pop     r\reg
    .endr
    clr     r1
    ret

/* The difference is 256 more than r18 if that is negative, else 256 less: so many weights more. */
.Lwrapped:
    mov     r17, r19
    lsl     r17
    sbc     r17, r17
    sbrs    r18, 7
    rjmp    4f
    add     r23, r19
    adc     r24, r17
    adc     r25, r17
    rjmp    .Lback
4:  sub     r23, r19
    sbc     r24, r17
    sbc     r25, r17
    rjmp    .Lback
    .size   eng_conv2d_patch_sum, . - eng_conv2d_patch_sum
