/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/runs_sum.c. X inputs, Z runs, r25:r24:r23 sum, r22 base, r19:r18 sum of a run, at most 255 * 255, r20 inputs left in
 * the run, r21 runs left, r1 zero, r0 input. */

    .section .text.eng_runs_sum_u24, "ax", @progbits
    .global eng_runs_sum_u24
    .type   eng_runs_sum_u24, @function
eng_runs_sum_u24:
    movw    r26, r24
    movw    r30, r20
    ldi     r23, 0
    ldi     r24, 0
    ldi     r25, 0
    movw    r18, r24
    ld      r21, Z+
    rjmp    5f
1:  ld      r20, Z+
    add     r26, r20
    adc     r27, r1
    ldi     r18, 0
    ldi     r19, 0
    ld      r20, Z+
    subi    r20, 4
    brcs    3f
2:  .rept   4
    ld      r0, X+
    sub     r0, r22
    add     r18, r0
    adc     r19, r1
    .endr
    subi    r20, 4
    brcc    2b
3:  subi    r20, -4
    breq    5f
4:  ld      r0, X+
    sub     r0, r22
    add     r18, r0
    adc     r19, r1
    dec     r20
    brne    4b
5:  add     r23, r18
    adc     r24, r19
    adc     r25, r1
    subi    r21, 1
    brcc    1b
    mov     r22, r23
    mov     r23, r24
    mov     r24, r25
    ldi     r25, 0
    ret
    .size   eng_runs_sum_u24, . - eng_runs_sum_u24
