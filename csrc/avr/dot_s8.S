/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/dot_s8.c. 12.5 cycles a product, two at a time: up to 256 products are summed in r21:r23:r22, which they cannot
 * overflow (256 * 2^14 = 2^22), then r21 is moved into the upper half of the result. Stack: 4 bytes.
 *
 * X and Z operands, r25:r22 sum, r20 pairs left, r17 256s left, r16 zero. */

#include "weight.inc"

    .macro  product
    ld      r18, X+
    weight  r19
    muls    r18, r19
    sbc     r21, r16
    add     r22, r0
    adc     r23, r1
    adc     r21, r16
    .endm

    .section .text.eng_dot_s8, "ax", @progbits
    .global eng_dot_s8
    .type   eng_dot_s8, @function
eng_dot_s8:
    push    r16
    push    r17
    movw    r26, r24
    movw    r30, r22
    mov     r17, r21
    ldi     r16, 0
    ldi     r21, 0
    ldi     r22, 0
    ldi     r23, 0
    movw    r24, r22
    lsr     r20
    brcs    1f
    breq    4f
    rjmp    2f
1:  inc     r20
    rjmp    3f
2:  product
3:  product
    dec     r20
    brne    2b
4:  mov     r18, r21
    lsl     r18
    sbc     r18, r18
    add     r24, r21
    adc     r25, r18
    ldi     r21, 0
    ldi     r20, 128
    subi    r17, 1
    brcc    2b
    pop     r17
    pop     r16
    clr     r1
    ret
    .size   eng_dot_s8, . - eng_dot_s8
