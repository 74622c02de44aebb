/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/argmax_s8.c. All rows lie in RAM, so that 16 bits count them. A row is read from its end, so that the first of
 * the largest inputs is the last one found.
 *
 * X inputs, Z indices, r23:r22 rows left, r1:r0 size, r25:r24 index, r21:r20 of the best input, r18 that input. */

    .equ    ROWS, 0
    .equ    SIZE, 4

    .section .text.eng_argmax_s8, "ax", @progbits
    .global eng_argmax_s8
    .type   eng_argmax_s8, @function
eng_argmax_s8:
    movw    r30, r24
    movw    r26, r22
    ldd     r22, Z+ROWS
    ldd     r23, Z+ROWS+1
    ldd     r0, Z+SIZE
    ldd     r1, Z+SIZE+1
    movw    r30, r20
    rjmp    4f
1:  add     r26, r0
    adc     r27, r1
    movw    r24, r0
    sbiw    r24, 1
    ldi     r18, 0x80
2:  ld      r19, -X
    cp      r19, r18
    brlt    3f
    mov     r18, r19
    movw    r20, r24
3:  sbiw    r24, 1
    brcc    2b
    adiw    r24, 1
    add     r26, r0
    adc     r27, r1
    st      Z+, r20
    st      Z+, r21
    st      Z+, r24
    st      Z+, r25
4:  subi    r22, 1
    sbci    r23, 0
    brcc    1b
    clr     r1
    ret
    .size   eng_argmax_s8, . - eng_argmax_s8
