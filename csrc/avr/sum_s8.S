/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/sum_s8.c, n < 2^16. Codes are summed as code + 128, two a turn: below 2^24.
 *
 * Z codes, r19:r18 step, r21:r20 n, r27:r26 turns left, r24:r22 sum, r25 code. */

    .macro  code
    ld      r25, Z
    add     r30, r18
    adc     r31, r19
    subi    r25, 0x80
    add     r22, r25
    adc     r23, r1
    adc     r24, r1
    .endm

    .section .text.eng_sum_s8, "ax", @progbits
    .global eng_sum_s8
    .type   eng_sum_s8, @function
eng_sum_s8:
    movw    r30, r24
    movw    r26, r20
    ldi     r22, 0
    ldi     r23, 0
    ldi     r24, 0
    adiw    r26, 1
    ror     r27
    ror     r26
    sbrc    r20, 0
    rjmp    2f
1:  code
2:  code
    sbiw    r26, 1
    brne    1b
    lsr     r21
    ror     r20
    ror     r26
    sub     r22, r26
    sbc     r23, r20
    sbc     r24, r21
    sbc     r25, r25
    ret
    .size   eng_sum_s8, . - eng_sum_s8
